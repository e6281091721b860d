//! Actions of a batch, borrowed or kept.

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

    /// The choices. Panics on continuous actions.
    #[inline]
    pub fn discrete(&mut self) -> &mut [i64] {
        match self {
            Self::Discrete(a) => a,
            Self::Continuous(_) => panic!("the spec has discrete actions"),
        }
    }

    /// The numbers. Panics on discrete actions.
    #[inline]
    pub fn continuous(&mut self) -> &mut [f32] {
        match self {
            Self::Continuous(a) => a,
            Self::Discrete(_) => panic!("the spec has continuous actions"),
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

/// Actions in memory, `[rows, len]`.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionBuf {
    /// Choices.
    Discrete(Vec<i64>),
    /// Numbers.
    Continuous(Vec<f32>),
}

impl ActionBuf {
    /// Choices and numbers in it.
    pub fn len(&self) -> usize {
        match self {
            Self::Discrete(a) => a.len(),
            Self::Continuous(a) => a.len(),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it.
    #[inline]
    pub fn all(&self) -> Actions<'_> {
        match self {
            Self::Discrete(a) => Actions::Discrete(a),
            Self::Continuous(a) => Actions::Continuous(a),
        }
    }

    /// All of it, to be written.
    pub fn all_mut(&mut self) -> ActionsMut<'_> {
        match self {
            Self::Discrete(a) => ActionsMut::Discrete(a),
            Self::Continuous(a) => ActionsMut::Continuous(a),
        }
    }

    /// Moves other actions of the same kind to the end.
    pub fn append(&mut self, other: &mut Self) {
        match (self, other) {
            (Self::Discrete(a), Self::Discrete(b)) => a.append(b),
            (Self::Continuous(a), Self::Continuous(b)) => a.append(b),
            _ => panic!("actions of one kind have no actions of the other after them"),
        }
    }

    /// All of it; what is left is empty.
    pub fn take(&mut self) -> Self {
        match self {
            Self::Discrete(a) => Self::Discrete(std::mem::take(a)),
            Self::Continuous(a) => Self::Continuous(std::mem::take(a)),
        }
    }

    /// The part `[from, from + n)`, to be written.
    pub fn part_mut(&mut self, from: usize, n: usize) -> ActionsMut<'_> {
        match self {
            Self::Discrete(a) => ActionsMut::Discrete(&mut a[from..from + n]),
            Self::Continuous(a) => ActionsMut::Continuous(&mut a[from..from + n]),
        }
    }

    /// Adds actions of the same kind at the end.
    pub fn extend(&mut self, more: Actions<'_>) {
        match self {
            Self::Discrete(a) => a.extend_from_slice(more.discrete()),
            Self::Continuous(a) => a.extend_from_slice(more.continuous()),
        }
    }
}
