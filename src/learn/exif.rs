//! How a camera was held, by a JPEG's Exif data: pictures are turned upright, as every program shows them.

/// The orientation by its tag, 1 (upright) to 8; 1 where nothing is said. `exif`: a TIFF structure, without the name before
/// it (CIPA DC-008, 4.6).
pub fn orientation(exif: &[u8]) -> u8 {
    read(exif).filter(|found| (1..=8).contains(found)).unwrap_or(1)
}

fn read(exif: &[u8]) -> Option<u8> {
    const ORIENTATION: u64 = 0x0112;
    let little = match exif.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let number = |at: usize, bytes: usize| {
        let all = exif.get(at..at.checked_add(bytes)?)?.iter();
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if little { all.rev().fold(0, join) } else { all.fold(0, join) })
    };
    let directory = number(4, 4)? as usize;
    let entries = number(directory, 2)? as usize;
    // An entry: tag, type, count, value.
    let of = |entry: usize| directory + 2 + 12 * entry;
    let entry = (0..entries).find(|entry| number(of(*entry), 2) == Some(ORIENTATION))?;
    Some(number(of(entry) + 8, 2)? as u8)
}

/// The picture turned upright: `[height, width, channels]`.
pub fn upright(bytes: Vec<u8>, size: [usize; 3], orientation: u8) -> (Vec<u8>, [usize; 3]) {
    let [height, width, channels] = size;
    let (down, right) = (height - 1, width - 1);
    // From 5 on rows become columns.
    let (tall, wide) = if orientation >= 5 { (width, height) } else { (height, width) };
    let from = |y: usize, x: usize| match orientation {
        2 => (y, right - x),
        3 => (down - y, right - x),
        4 => (down - y, x),
        5 => (x, y),
        6 => (down - x, y),
        7 => (down - x, right - y),
        8 => (x, right - y),
        _ => (y, x),
    };
    if !(2..=8).contains(&orientation) {
        return (bytes, size);
    }
    let mut out = Vec::with_capacity(bytes.len());
    for y in 0..tall {
        for x in 0..wide {
            let (y, x) = from(y, x);
            out.extend_from_slice(&bytes[(y * width + x) * channels..][..channels]);
        }
    }
    (out, [tall, wide, channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_read_in_both_orders_of_bytes() {
        let little = b"II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x01\0\0\0\0\0\0\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0";
        assert_eq!([orientation(little), orientation(big)], [6, 3]);
        for cut in 0..little.len() - 3 {
            assert_eq!(orientation(&little[..cut]), 1, "cut off after {cut} bytes");
        }
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), 1);
    }

    /// The letter F, as cameras store it in each orientation (Exif's own figure); upright it is the first.
    #[test]
    fn pictures_are_turned_upright() {
        let stored: [(u8, [usize; 2], &str); 8] = [
            (1, [4, 3], "### #.. ##. #.."),
            (2, [4, 3], "### ..# .## ..#"),
            (3, [4, 3], "..# .## ..# ###"),
            (4, [4, 3], "#.. ##. #.. ###"),
            (5, [3, 4], "#### #.#. #..."),
            (6, [3, 4], "#... #.#. ####"),
            (7, [3, 4], "...# .#.# ####"),
            (8, [3, 4], "#### .#.# ...#"),
        ];
        for (orientation, [height, width], picture) in stored {
            let bytes: Vec<u8> = picture.bytes().filter(|b| *b != b' ').collect();
            let (bytes, size) = upright(bytes, [height, width, 1], orientation);
            assert_eq!(size, [4, 3, 1]);
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), "####..##.#..", "orientation {orientation}");
        }
    }
}
