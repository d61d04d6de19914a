//! As weak as the letter of C++20 permits.

use kata::sync::atomic::Ordering;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

const PLAIN: Side = Side {
    first: Relaxed,
    fence: None,
    second: Relaxed,
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
    let side = Side {
        fence: Some(SeqCst),
        ..PLAIN
    };
    Sb {
        left: side,
        right: side,
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
    // Both readers SeqCst, both writers Relaxed: the letter of C++20.
    let side = Side {
        first: SeqCst,
        second: SeqCst,
        ..PLAIN
    };
    Iriw {
        x_store: Relaxed,
        y_store: Relaxed,
        xy: side,
        yx: side,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoPlusTwoW {
    pub left: Side,
    pub right: Side,
}

pub fn two_plus_two_w() -> TwoPlusTwoW {
    let strong = Side {
        first: SeqCst,
        second: SeqCst,
        ..PLAIN
    };
    TwoPlusTwoW {
        left: strong,
        right: Side {
            fence: Some(SeqCst),
            ..PLAIN
        },
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
