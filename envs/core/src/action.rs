//! Borrowed actions of a batch.

/// The actions of one or many rows, `[rows, len]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Actions<'a> {
    /// Choices, each below its size.
    Discrete(&'a [i64]),
    /// Numbers in the units of the spec, inside its bounds.
    Continuous(&'a [f32]),
}

impl<'a> Actions<'a> {
    /// The part `[from, from + n)` of the numbers.
    #[inline]
    pub fn part(self, from: usize, n: usize) -> Self {
        match self {
            Self::Discrete(a) => Self::Discrete(&a[from..from + n]),
            Self::Continuous(a) => Self::Continuous(&a[from..from + n]),
        }
    }

    /// The choices. Panics on continuous actions: the spec fixes the kind, which is checked where a batch is built.
    #[inline]
    pub fn discrete(self) -> &'a [i64] {
        match self {
            Self::Discrete(a) => a,
            Self::Continuous(_) => panic!("the spec has discrete actions"),
        }
    }

    /// The numbers. Panics on discrete actions.
    #[inline]
    pub fn continuous(self) -> &'a [f32] {
        match self {
            Self::Continuous(a) => a,
            Self::Discrete(_) => panic!("the spec has continuous actions"),
        }
    }
}

/// Where a policy writes its actions, `[rows, len]`.
#[derive(Debug, PartialEq)]
pub enum ActionsMut<'a> {
    /// Choices.
    Discrete(&'a mut [i64]),
    /// Numbers in the units of the spec.
    Continuous(&'a mut [f32]),
}

impl ActionsMut<'_> {
    /// The part `[from, from + n)` of the numbers.
    pub fn part(&mut self, from: usize, n: usize) -> ActionsMut<'_> {
        match self {
            Self::Discrete(a) => ActionsMut::Discrete(&mut a[from..from + n]),
            Self::Continuous(a) => ActionsMut::Continuous(&mut a[from..from + n]),
        }
    }

    /// Writes one number: a choice, or a value in the units of the spec.
    pub fn set(&mut self, at: usize, value: f64) {
        match self {
            Self::Discrete(a) => a[at] = value as i64,
            Self::Continuous(a) => a[at] = value as f32,
        }
    }
}
