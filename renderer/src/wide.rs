//! Loops over samples that run on the widest registers a machine has.

/// Declares a function twice: once for every machine, and once for those with AVX2, where the same arithmetic runs on twice as
/// many samples at a time. It is integer arithmetic, so that both give the same bytes.
macro_rules! on_wide_registers {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) = $plain:ident) => {
        $(#[$doc])*
        fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($argument: $type),*) {
                    $plain($($argument),*);
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2, which is all that `wide` asks for.
                    return unsafe { wide($($argument),*) };
                }
            }
            $plain($($argument),*);
        }
    };
}

pub(crate) use on_wide_registers;
