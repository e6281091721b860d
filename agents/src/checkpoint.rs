//! Checkpoints: `weights.safetensors` and `state.json` in a folder that appears whole or not at all.

use crate::agent::{AgentError, Saved};
use crate::bridge::read_f32;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use tch::Tensor;

/// Writes a checkpoint: to a new name, synced, then renamed. `folder` must not exist. `state` holds what is not the
/// agent's.
pub fn write(folder: &Path, agent: &Saved, state: &Value) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let draft = parent.join(format!(".{name}.draft"));
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(&draft)?;
    let written = fill(&draft, agent, state).and_then(|()| {
        fs::rename(&draft, folder)?;
        File::open(parent)?.sync_all()
    });
    if written.is_err() {
        // Whatever was there before is untouched; the draft only takes room.
        let _ = fs::remove_dir_all(&draft);
    }
    written
}

fn fill(draft: &Path, agent: &Saved, state: &Value) -> io::Result<()> {
    let data: Vec<(Vec<usize>, Vec<u8>)> = agent
        .tensors
        .iter()
        .map(|(_, t)| {
            let mut numbers = vec![0f32; t.numel()];
            read_f32(t, &mut numbers);
            let shape = t.size().iter().map(|&n| n as usize).collect();
            (shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
        })
        .collect();
    let views = agent.tensors.iter().zip(&data).map(|((name, _), (shape, bytes))| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(io::Error::other)?;
    let weights = safetensors::serialize(views, None).map_err(io::Error::other)?;
    let state = serde_json::to_vec(&serde_json::json!({"agent": agent.state, "run": state}))?;
    for (name, bytes) in [("weights.safetensors", weights), ("state.json", state)] {
        let mut file = File::create(draft.join(name))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Reads a checkpoint: the agent's part and the rest.
pub fn read(folder: &Path) -> Result<(Saved, Value), AgentError> {
    let broken =
        |file: &str, why: String| AgentError::Checkpoint(format!("{} is damaged: {why}", folder.join(file).display()));
    let bytes = |file: &str| fs::read(folder.join(file)).map_err(|e| broken(file, e.to_string()));
    let weights = bytes("weights.safetensors")?;
    let file = SafeTensors::deserialize(&weights).map_err(|e| broken("weights.safetensors", e.to_string()))?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(broken("weights.safetensors", format!("`{name}` is not of 32-bit numbers")));
        }
        let numbers: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        tensors.push((name, Tensor::from_slice(&numbers).view(shape.as_slice())));
    }
    let mut state: Value =
        serde_json::from_slice(&bytes("state.json")?).map_err(|e| broken("state.json", e.to_string()))?;
    Ok((Saved { tensors, state: state["agent"].take() }, state["run"].take()))
}
