//! Numbers from slices to tensors and back; and, within this crate, the memory of a CPU tensor as a slice.

use tch::{Device, Kind, Tensor};

/// Rows of numbers as a tensor `[rows, numbers of a row]` on a device.
pub fn upload(numbers: &[f32], rows: usize, device: Device) -> Tensor {
    Tensor::from_slice(numbers).view([rows as i64, -1]).to_device(device)
}

/// The numbers of a contiguous CPU tensor of 32-bit numbers, to be changed in place; none of any other.
///
/// Tensors that share the memory, as the leaves of [`crate::net::Params`] do, are not to be used while the slice lives.
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
        let mut tensor = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        host_slice(&mut tensor).unwrap()[4] = 7.0;
        assert_eq!(tensor.double_value(&[1, 1]), 7.0);
        let _ = tensor.shallow_clone().fill_(2.0);
        assert_eq!(host_view(&tensor).unwrap(), [2.0; 6]);
    }

    #[test]
    fn memory_is_lent_only_where_it_is_what_it_seems() {
        let zeros = |shape: [i64; 2], kind| Tensor::zeros(shape, (kind, Device::Cpu));
        assert!(host_view(&zeros([2, 3], Kind::Double)).is_none(), "other numbers");
        assert!(host_view(&zeros([2, 3], Kind::Float).tr()).is_none(), "another order");
        assert!(host_view(&zeros([0, 3], Kind::Float)).is_none(), "no memory");
    }

    #[test]
    fn rows_go_up_and_come_back() {
        let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let tensor = upload(&numbers, 2, Device::Cpu);
        assert_eq!(tensor.size(), [2, 3]);
        let mut back = [0.0; 6];
        read_f32(&tensor, &mut back);
        assert_eq!(back, numbers);
    }
}
