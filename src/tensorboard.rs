//! TensorBoard event files: TFRecord framing (length, masked CRC-32C) around a few fields of `Event` protobufs.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of the records at the front that are whole.
pub fn whole(bytes: &[u8]) -> usize {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let mut at = 0;
    loop {
        let Some(head) = bytes.get(at..at + 8) else { return at };
        let length = head.try_into().map_or(0, u64::from_le_bytes) as usize;
        let end = at.saturating_add(length).saturating_add(16);
        let Some(data) = bytes.get(at + 12..end.saturating_sub(4)) else { return at };
        if word(at + 8) != Some(masked_crc(head)) || word(end - 4) != Some(masked_crc(data)) {
            return at;
        }
        at = end;
    }
}

/// Writes scalars where TensorBoard finds them.
pub struct Writer<W: Write> {
    out: W,
}

fn varint(mut x: u64, out: &mut Vec<u8>) {
    while x >= 0x80 {
        out.push(x as u8 | 0x80);
        x >>= 7;
    }
    out.push(x as u8);
}

/// A length-delimited field.
fn bytes(field: u64, data: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(data.len() as u64, out);
    out.extend(data);
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

impl<W: Write> Writer<W> {
    /// Goes on with a file; a new one needs [`Writer::start`].
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// The first record of a file.
    pub fn start(&mut self) -> io::Result<()> {
        let mut event = Vec::new();
        bytes(3, b"brain.Event:2", &mut event);
        self.record(0, event)
    }

    /// One value.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f64) -> io::Result<()> {
        let mut point = Vec::new();
        bytes(1, tag.as_bytes(), &mut point);
        point.push(2 << 3 | 5);
        point.extend((value as f32).to_le_bytes());
        let mut summary = Vec::new();
        bytes(1, &point, &mut summary);
        let mut event = Vec::new();
        bytes(5, &summary, &mut event);
        self.record(step, event)
    }

    fn record(&mut self, step: u64, rest: Vec<u8>) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let mut event = vec![1 << 3 | 1];
        event.extend(now.to_le_bytes());
        event.push(2 << 3);
        varint(step, &mut event);
        event.extend(rest);
        let length = (event.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(&event);
        record.extend(masked_crc(&event).to_le_bytes());
        self.out.write_all(&record)
    }

    /// Where it writes to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
