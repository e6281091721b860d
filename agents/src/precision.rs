//! The number type that networks multiply in: float32, or the faster bfloat16 with float32 for parameters, sums over rows,
//! norms and losses ("mixed precision": Micikevicius et al. 2018). bfloat16 has the exponents of float32, so that losses
//! need no scaling.

use tch::{Device, Kind, Tensor};

agon_core::choices! {
    /// The number type of matrix products and convolutions. Parameters and what is between products are float32.
    pub enum Precision {
        /// bfloat16 where the device has instructions for it, else float32.
        Auto = "auto",
        Float32 = "float32",
        Bfloat16 = "bfloat16",
    }
}

impl Precision {
    /// The kind of numbers on this machine.
    pub fn kind(self, device: Device) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
            Self::Auto if short_is_fast(device) => Kind::BFloat16,
            Self::Auto => Kind::Float,
        }
    }
}

/// Whether a device multiplies bfloat16 faster than float32.
fn short_is_fast(device: Device) -> bool {
    if device == Device::Cpu {
        #[cfg(target_arch = "x86_64")]
        return is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }
    // Matrix units have it from compute capability 8.0 on. cuDNN refuses such convolutions on older ones, where libtorch
    // would go a slow way around it.
    let ones = Tensor::ones([8, 8, 3, 3], (Kind::BFloat16, device));
    tch::no_grad(|| ones.f_cudnn_convolution(&ones, [1, 1], [1, 1], [1, 1], 1, false, false, false).is_ok())
}
