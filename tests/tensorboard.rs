//! The event file is what TensorBoard reads: TFRecord framing with masked CRC-32C around `Event` protobufs.
//! Its own reader is tried too where Python has it.

use agon::tensorboard::Writer;
use std::process::Command;

/// The TFRecords of a file; panics on a wrong length or checksum.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let masked = |data: &[u8]| crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8);
    let word = |b: &[u8]| u32::from_le_bytes(b[..4].try_into().unwrap());
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(word(&bytes[8..]), masked(&bytes[..8]));
        let data = &bytes[12..12 + length];
        assert_eq!(word(&bytes[12 + length..]), masked(data));
        out.push(data.to_vec());
        bytes = &bytes[16 + length..];
    }
    out
}

fn file() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.start().unwrap();
    for step in [1u64, 300, 5_000_000_000] {
        writer.scalar(step, "charts/episodic_return", step as f64 * 0.5).unwrap();
    }
    writer.flush().unwrap();
    bytes
}

#[test]
fn records_hold_steps_tags_and_values() {
    let all = records(&file());
    assert_eq!(all.len(), 4);
    assert!(all[0].windows(13).any(|w| w == b"brain.Event:2"));
    for (record, step) in all[1..].iter().zip([1u64, 300, 5_000_000_000]) {
        assert_eq!(record[9], 2 << 3, "field 2, the step, follows the wall time");
        let mut found = 0u64;
        for (i, b) in record[10..].iter().enumerate() {
            found |= u64::from(b & 0x7f) << (7 * i);
            if b & 0x80 == 0 {
                break;
            }
        }
        assert_eq!(found, step);
        assert!(record.windows(22).any(|w| w == b"charts/episodic_return"));
        assert_eq!(record[record.len() - 4..], (step as f32 * 0.5).to_le_bytes());
    }
}

#[test]
fn tensorboards_own_reader_reads_it() {
    let python = std::env::var("AGON_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import tensorboard"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: {python} has no tensorboard");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("events.out.tfevents.0000000001.agon"), file()).unwrap();
    let code = "import sys\nfrom tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
                a = EventAccumulator(sys.argv[1]); a.Reload()\n\
                print([(e.step, e.value) for e in a.Scalars('charts/episodic_return')])";
    let out = Command::new(&python).args(["-c", code, &dir.path().to_string_lossy()]).output().unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert_eq!(told.trim(), "[(1, 0.5), (300, 150.0), (5000000000, 2500000000.0)]", "{out:?}");
}
