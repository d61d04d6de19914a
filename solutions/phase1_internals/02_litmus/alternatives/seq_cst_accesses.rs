//! SeqCst accesses where the reference has fences, a fence where it has accesses, and the other edge for load buffering.

use kata::sync::atomic::Ordering;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

const SEQ_CST: Side = Side {
    first: SeqCst,
    fence: None,
    second: SeqCst,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    pub first: Ordering,
    pub fence: Option<Ordering>,
    pub second: Ordering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mp {
    pub x_store: Ordering,
    pub y_store: Ordering,
    pub y_load: Ordering,
    pub x_load: Ordering,
}

pub fn mp() -> Mp {
    Mp {
        x_store: Relaxed,
        y_store: Release,
        y_load: Acquire,
        x_load: Relaxed,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpFences {
    pub writer: Option<Ordering>,
    pub reader: Option<Ordering>,
}

pub fn mp_fences() -> MpFences {
    MpFences {
        writer: Some(Release),
        reader: Some(Acquire),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoRr {
    pub store: Ordering,
    pub first: Ordering,
    pub second: Ordering,
}

pub fn corr() -> CoRr {
    CoRr {
        store: Relaxed,
        first: Relaxed,
        second: Relaxed,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sb {
    pub left: Side,
    pub right: Side,
}

pub fn sb() -> Sb {
    // Two SeqCst stores, two SeqCst loads: whichever store is first in the single order, the other thread's load sees it.
    Sb {
        left: SEQ_CST,
        right: SEQ_CST,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lb {
    pub x_load: Ordering,
    pub y_store: Ordering,
    pub y_load: Ordering,
    pub x_store: Ordering,
}

pub fn lb() -> Lb {
    // The other edge: all of the right thread before all of the left one.
    Lb {
        x_load: Acquire,
        y_store: Relaxed,
        y_load: Relaxed,
        x_store: Release,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrc {
    pub x_store: Ordering,
    pub x_load: Ordering,
    pub y_store: Ordering,
    pub y_load: Ordering,
    pub x_reload: Ordering,
}

pub fn wrc() -> Wrc {
    Wrc {
        x_store: Relaxed,
        x_load: Relaxed,
        y_store: Release,
        y_load: Acquire,
        x_reload: Relaxed,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa2 {
    pub x_store: Ordering,
    pub y_store: Ordering,
    pub y_load: Ordering,
    pub z_store: Ordering,
    pub z_load: Ordering,
    pub x_load: Ordering,
}

pub fn isa2() -> Isa2 {
    Isa2 {
        x_store: Relaxed,
        y_store: Release,
        y_load: Acquire,
        z_store: Release,
        z_load: Acquire,
        x_load: Relaxed,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iriw {
    pub x_store: Ordering,
    pub y_store: Ordering,
    pub xy: Side,
    pub yx: Side,
}

pub fn iriw() -> Iriw {
    // The stores are in the single order, too, so this does not depend on how the letter of C++20 is read.
    Iriw {
        x_store: SeqCst,
        y_store: SeqCst,
        xy: SEQ_CST,
        yx: SEQ_CST,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoPlusTwoW {
    pub left: Side,
    pub right: Side,
}

pub fn two_plus_two_w() -> TwoPlusTwoW {
    // Of two fences one is first, and what stands before it is overwritten by what stands after the other.
    let fenced = Side {
        first: Relaxed,
        fence: Some(SeqCst),
        second: Relaxed,
    };
    TwoPlusTwoW {
        left: fenced,
        right: fenced,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseSequence {
    pub x_store: Ordering,
    pub y_store: Ordering,
    pub y_add: Ordering,
    pub y_load: Ordering,
    pub x_load: Ordering,
}

pub fn release_sequence() -> ReleaseSequence {
    ReleaseSequence {
        x_store: Relaxed,
        y_store: Release,
        y_add: Relaxed,
        y_load: Acquire,
        x_load: Relaxed,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten {
    pub x_store: Ordering,
    pub first: Ordering,
    pub second: Ordering,
    pub y_load: Ordering,
    pub x_load: Ordering,
}

pub fn overwritten() -> Overwritten {
    Overwritten {
        x_store: Relaxed,
        first: Relaxed,
        second: Release,
        y_load: Acquire,
        x_load: Relaxed,
    }
}
