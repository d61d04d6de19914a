//! The oracles: what decides whether learner code is right. For checks only.
