//! Checkpoints: `weights.safetensors`, `state.json` and their `checksums` in a folder that appears whole or not at all.
//! `clock.json` beside them holds what differs between two equal runs: time, and the lengths of logs that depend on it.
//! Nothing else depends on it, and it has its own checksum.

use crate::agent::{AgentError, Saved};
use crate::bridge::read_f32;
use agon_core::disk;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::Path;
use tch::{Kind, Tensor};

const WEIGHTS: &str = "weights.safetensors";
const STATE: &str = "state.json";
const SUMS: &str = "checksums";
const CLOCK: &str = "clock.json";

/// Writes a checkpoint: to a new name, synced, then renamed, in the place of an older one of that name if there is one.
/// `state` holds what is not the agent's, `clock` what depends on time. The folder that it goes into must exist.
pub fn write(folder: &Path, agent: &Saved, state: &Value, clock: &Value) -> io::Result<()> {
    let parent = disk::parent(folder);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let draft = parent.join(format!(".{name}.draft"));
    if draft.exists() {
        disk::change();
        fs::remove_dir_all(&draft)?;
    }
    disk::change();
    fs::create_dir(&draft)?;
    let written = fill(&draft, agent, state, clock).and_then(|()| place(&draft, folder));
    if written.is_err() || draft.exists() {
        // Whatever was there before is untouched, or replaced: the draft only takes room.
        let _ = fs::remove_dir_all(&draft);
    }
    written
}

fn fill(draft: &Path, agent: &Saved, state: &Value, clock: &Value) -> io::Result<()> {
    let views: Vec<_> = agent.tensors.iter().map(|(name, t)| (name, bytes_of(t))).collect();
    let views = views.iter().map(|(name, (dtype, shape, bytes))| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| ((*name).clone(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(io::Error::other)?;
    let weights = safetensors::serialize(views, None).map_err(io::Error::other)?;
    let state = serde_json::to_vec(&json!({"agent": agent.state, "run": state, "checksums": true}))?;
    for (name, bytes) in [(WEIGHTS, &weights), (STATE, &state), (SUMS, &sums(&weights, &state).into_bytes())] {
        disk::create(&draft.join(name), bytes)?;
    }
    let text = clock.to_string();
    let clock = json!({"clock": clock, "crc32c": crc32c::crc32c(text.as_bytes())});
    disk::create(&draft.join(CLOCK), clock.to_string().as_bytes())?;
    disk::change();
    disk::sync_folder(draft)
}

fn bytes_of(t: &Tensor) -> (Dtype, Vec<usize>, Vec<u8>) {
    let shape = t.size().iter().map(|&n| n as usize).collect();
    if t.kind() == Kind::Int64 {
        let mut numbers = vec![0i64; t.numel()];
        t.to_device(tch::Device::Cpu).copy_data(&mut numbers, t.numel());
        return (Dtype::I64, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    if t.kind() == Kind::Uint8 {
        let mut bytes = vec![0u8; t.numel()];
        t.to_device(tch::Device::Cpu).contiguous().copy_data(&mut bytes, t.numel());
        return (Dtype::U8, shape, bytes);
    }
    if t.kind() == Kind::Double {
        let mut numbers = vec![0f64; t.numel()];
        t.to_device(tch::Device::Cpu).contiguous().copy_data(&mut numbers, t.numel());
        return (Dtype::F64, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    let mut numbers = vec![0f32; t.numel()];
    read_f32(t, &mut numbers);
    (Dtype::F32, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
}

/// Moves a finished draft to its place, by exchange where another checkpoint is there.
fn place(draft: &Path, folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if folder.exists() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        disk::change();
        if renameat_with(CWD, draft, CWD, folder, RenameFlags::EXCHANGE).is_ok() {
            disk::change();
            return disk::sync_folder(&disk::parent(folder));
        }
    }
    if folder.exists() {
        // Only where names cannot be exchanged; the run has older checkpoints for the moment between.
        disk::change();
        fs::remove_dir_all(folder)?;
    }
    disk::rename(draft, folder)
}

/// The line of a file in `checksums`: CRC-32C, bytes, name.
fn sum(name: &str, bytes: &[u8]) -> String {
    format!("{:08x} {:>12} {name}\n", crc32c::crc32c(bytes), bytes.len())
}

fn sums(weights: &[u8], state: &[u8]) -> String {
    sum(WEIGHTS, weights) + &sum(STATE, state)
}

/// The clock that [`write()`] was given; `Null` where it is missing or damaged.
pub fn read_clock(folder: &Path) -> Value {
    let path = folder.join(CLOCK);
    let text = if path.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
    let read: Value = serde_json::from_slice(&text).unwrap_or_default();
    let sum = crc32c::crc32c(read["clock"].to_string().as_bytes());
    if read["crc32c"] == sum { read["clock"].clone() } else { Value::Null }
}

/// Whether a checkpoint has checksums; those of older versions have none, so that not all damage is detected.
pub fn has_checksums(folder: &Path) -> bool {
    folder.join(SUMS).exists()
}

/// Reads a checkpoint: the agent's part and the rest.
///
/// # Errors
/// [`AgentError::Damaged`] where a file is missing, differs from its checksum, or is malformed.
pub fn read(folder: &Path) -> Result<(Saved, Value), AgentError> {
    read_some(folder, |_| true)
}

/// The same without what only learning needs: moments, target networks, replay memories.
///
/// # Errors
/// As [`read`].
pub fn read_for_inference(folder: &Path) -> Result<(Saved, Value), AgentError> {
    const LEARNING: [&str; 6] = ["adam.", "replay.", "episodes.", "pool.", "target", "order"];
    read_some(folder, |name| !LEARNING.iter().any(|start| name.starts_with(start)))
}

fn read_some(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<(Saved, Value), AgentError> {
    let broken =
        |file: &str, why: String| AgentError::Damaged(format!("{} is damaged: {why}", folder.join(file).display()));
    let bytes = |file: &str| {
        let path = folder.join(file);
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => Err(broken(file, "it is no ordinary file".into())),
            _ => fs::read(&path).map_err(|e| broken(file, e.to_string())),
        }
    };
    let (weights, text) = (bytes(WEIGHTS)?, bytes(STATE)?);
    let summed = has_checksums(folder);
    if summed {
        let told = bytes(SUMS)?;
        for (name, bytes) in [(WEIGHTS, &weights), (STATE, &text)] {
            let line = sum(name, bytes);
            if !told.split_inclusive(|b| *b == b'\n').any(|l| l == line.as_bytes()) {
                return Err(broken(name, format!("it is not what `{SUMS}` beside it says")));
            }
        }
        if told != sums(&weights, &text).as_bytes() {
            return Err(broken(SUMS, "it holds more than the checksums of two files".into()));
        }
    }
    let mut state: Value = serde_json::from_slice(&text).map_err(|e| broken(STATE, e.to_string()))?;
    let Some(parts) = state.as_object_mut() else {
        return Err(broken(STATE, "it is no table".into()));
    };
    if !summed && parts.contains_key("checksums") {
        return Err(broken(SUMS, "it is gone".into()));
    }
    let mut part = |name: &str| {
        let part = parts.remove(name).filter(Value::is_object);
        part.ok_or_else(|| broken(STATE, format!("it has no table `{name}`")))
    };
    let (agent, run) = (part("agent")?, part("run")?);
    let tensors = tensors(&weights, wanted).map_err(|why| broken(WEIGHTS, why))?;
    Ok((Saved { tensors, state: agent }, run))
}

fn tensors(weights: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Tensor)>, String> {
    let file = SafeTensors::deserialize(weights).map_err(|e| e.to_string())?;
    let one = |(name, view): (String, TensorView<'_>)| {
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let tensor = match view.dtype() {
            Dtype::F32 => {
                let numbers: Vec<f32> = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                if numbers.iter().any(|x| !x.is_finite()) {
                    return Err(format!("`{name}` holds what is no number"));
                }
                Tensor::from_slice(&numbers)
            }
            Dtype::U8 => Tensor::from_slice(view.data()),
            Dtype::F64 => {
                let numbers: Vec<f64> = view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
                if numbers.iter().any(|x| !x.is_finite()) {
                    return Err(format!("`{name}` holds what is no number"));
                }
                Tensor::from_slice(&numbers)
            }
            Dtype::I64 => {
                let numbers: Vec<i64> = view.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
                Tensor::from_slice(&numbers)
            }
            _ => return Err(format!("`{name}` is of a type that no checkpoint has")),
        };
        Ok((name, tensor.view(shape.as_slice())))
    };
    file.tensors().into_iter().filter(|(name, _)| wanted(name)).map(one).collect()
}
