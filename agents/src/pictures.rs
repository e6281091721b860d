//! Pictures with a class each, for supervised training: what people bring is divided into parts and looked over
//! ([`dataset`]), changed a little for each pass ([`augment`]), and read by a residual network ([`resnet`]);
//! [`training`] makes a training of it, [`predictor`] predictions from a save alone.

pub mod augment;
pub mod dataset;
pub mod predictor;
pub mod resnet;
pub mod training;

/// Pictures of one size, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Picture after picture, each `[height, width, channels]`.
    pub bytes: Vec<u8>,
    /// Height, width and channels: 1 for grey, 3 for colours.
    pub size: [usize; 3],
}

impl Pictures {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len().checked_div(self.numbers()).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of a picture.
    pub fn numbers(&self) -> usize {
        self.size.iter().product()
    }

    /// A picture.
    pub fn picture(&self, i: usize) -> &[u8] {
        let n = self.numbers();
        &self.bytes[i * n..][..n]
    }
}
