//! Memory that is both a CPU tensor and a slice, so that simulators write where networks read.

use tch::{Device, Kind, Tensor};

/// A number that tensors and slices share.
pub trait Element: Copy + Default {
    /// libtorch's name of it.
    const KIND: Kind;
}

impl Element for f32 {
    const KIND: Kind = Kind::Float;
}

impl Element for i64 {
    const KIND: Kind = Kind::Int64;
}

impl Element for bool {
    const KIND: Kind = Kind::Bool;
}

/// A contiguous CPU tensor that lends its numbers as a slice.
///
/// A tensor taken from [`HostTensor::tensor`] on the CPU is the same memory: drop it before the next
/// [`HostTensor::slice_mut`].
#[derive(Debug)]
pub struct HostTensor<T> {
    tensor: Tensor,
    len: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Element> HostTensor<T> {
    /// Zeros of this shape.
    pub fn zeros(shape: &[usize]) -> Self {
        let dims: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        let tensor = Tensor::zeros(&dims, (T::KIND, Device::Cpu));
        Self { tensor, len: shape.iter().product(), element: std::marker::PhantomData }
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// On a device: itself on the CPU, one copy elsewhere.
    pub fn to(&self, device: Device) -> Tensor {
        self.tensor.to_device(device)
    }

    /// Its numbers, row-major.
    #[allow(unsafe_code)]
    pub fn slice(&self) -> &[T] {
        if self.len == 0 {
            return &[]; // an empty tensor has no memory
        }
        // SAFETY: the tensor is contiguous, on the CPU, of kind T and of `len` numbers, all since `zeros`; it is never
        // resized. Writers are `slice_mut`, which needs `&mut self`, and tensor operations on aliases, which by the
        // rule above are over before the slice is taken.
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr() as *const T, self.len) }
    }

    /// Its numbers, to be written.
    #[allow(unsafe_code)]
    pub fn slice_mut(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: as in `slice`.
        unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr() as *mut T, self.len) }
    }
}

/// The numbers of a contiguous CPU tensor of 32-bit numbers, to be changed in place; none of any other.
///
/// As with [`HostTensor`], tensors that share the memory are not to be used while the slice lives.
#[allow(unsafe_code)]
pub(crate) fn host_slice(tensor: &mut Tensor) -> Option<&mut [f32]> {
    // SAFETY: contiguous, on the CPU, of f32 and of `numel` numbers, by the check; nobody resizes it while it is
    // borrowed, and aliases are at rest by the rule above.
    reachable(tensor).then(|| unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr() as *mut f32, tensor.numel()) })
}

/// The same, to be read.
#[allow(unsafe_code)]
pub(crate) fn host_view(tensor: &Tensor) -> Option<&[f32]> {
    // SAFETY: as above; tensor operations that write to the same memory are not to run while the slice lives.
    reachable(tensor).then(|| unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const f32, tensor.numel()) })
}

/// Whether a tensor's numbers are 32-bit ones, in order, on the CPU, and there are any.
fn reachable(tensor: &Tensor) -> bool {
    tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous() && tensor.numel() > 0
}

/// Copies a tensor's numbers, from wherever it lives, into a slice of the same length.
pub fn read_f32(tensor: &Tensor, out: &mut [f32]) {
    let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    flat.copy_data(out, out.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_and_the_tensor_are_the_same_memory() {
        let mut host = HostTensor::<f32>::zeros(&[2, 3]);
        host.slice_mut()[4] = 7.0;
        assert_eq!(host.tensor().double_value(&[1, 1]), 7.0);
        let _ = host.tensor().shallow_clone().fill_(2.0);
        assert_eq!(host.slice(), [2.0; 6]);
        let mut flags = HostTensor::<bool>::zeros(&[2]);
        flags.slice_mut()[1] = true;
        assert_eq!(flags.tensor().int64_value(&[1]), 1);
        let mut none = HostTensor::<f32>::zeros(&[0, 3]);
        assert!(none.slice().is_empty() && none.slice_mut().is_empty());
    }
}
