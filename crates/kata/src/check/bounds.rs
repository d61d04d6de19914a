//! Which traits a type has, asked in a test.

/// Whether a type implements a trait, as a `bool`: a wrong bound then fails one named test instead of the build.
///
/// ```ignore
/// assert!(kata::implements!(Vec<u8>: Send));
/// assert!(!kata::implements!(std::rc::Rc<u8>: Send));
/// ```
///
/// It cannot be asked about a type parameter: an associated constant of the type itself, which exists if the bound
/// holds, goes before one of a trait, and inside a generic function neither is known.
#[macro_export]
macro_rules! implements {
    ($type:ty: $($bound:tt)+) => {{
        #[allow(dead_code)] // One of the two answers is never read.
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}

        struct Probe<T: ?Sized>(::std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $($bound)+> Probe<T> {
            const ANSWER: bool = true;
        }
        <Probe<$type>>::ANSWER
    }};
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bound_that_holds_is_told_from_one_that_does_not() {
        assert!(crate::implements!(Vec<u8>: Send));
        assert!(crate::implements!(u8: Copy + Send));
        assert!(!crate::implements!(std::rc::Rc<u8>: Send));
        assert!(!crate::implements!(std::cell::Cell<u8>: Sync));
    }
}
