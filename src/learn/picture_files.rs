//! Reads pictures that people bring: IDX files as those of MNIST, NPY files, folders of PNG and JPEG files.

use crate::{episode_table, picture_folder, text_folder};
use agon::{Failure, Outcome, files};
use agon_agents::pictures::Pictures;
use agon_agents::pictures::dataset::{Given, Raw};
use agon_core::memory;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Whether pictures are there and no table.
pub fn is_meant(path: &Path) -> bool {
    path.is_dir() && !text_folder::has_classes(path) && !episode_table::is_meant(path) || is_npy(path) || is_idx(path)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy"))
}

fn is_idx(path: &Path) -> bool {
    name_of(path).trim_end_matches(".gz").ends_with("-ubyte")
}

/// Where the data may be that a scenario in `folder` names: beside it, or among those that `make data` fetched.
pub fn places(folder: &Path, files: &str) -> Vec<PathBuf> {
    let beside = folder.join(files);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/agon"));
    let fetched = std::env::var_os("AGON_DEPS").map(PathBuf::from).or_else(home).map(|deps| deps.join("data"));
    [Some(beside), fetched.map(|data| data.join(files))].into_iter().flatten().collect()
}

/// Where the pictures are that a scenario in `folder` names.
pub fn locate(folder: &Path, files: &str) -> Result<PathBuf, String> {
    let places = places(folder, files);
    let found = places.iter().find(|place| !files.is_empty() && place.exists());
    found.cloned().ok_or_else(|| {
        let all: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        format!("no pictures at {}; `make data` fetches those of the scenarios that come with Agon", all.join(" or "))
    })
}

/// Reads pictures with their classes. `side`: what folders of files are resized to.
///
/// # Errors
/// They cannot be read, or are not what they seem; with the file.
pub fn read(path: &Path, side: Option<usize>) -> Outcome<Raw> {
    let has = |folder: &Path, name: &str| Some(folder.join(name)).filter(|file| file.is_file());
    if path.is_dir() {
        let idx = ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"].iter().find_map(|name| has(path, name));
        let Some(file) = has(path, "x.npy").or(idx) else { return picture_folder::read(path, side) };
        return read(&file, side).map(|raw| Raw { file: format!("{}/", name_of(path)), ..raw });
    }
    if side.is_some() {
        let why = "pictures.side is for folders of PNG and JPEG files: these have the size that they have";
        return Err(Failure::Input(format!("{}: {why}", path.display())));
    }
    let (pairs, read_one): (_, fn(&Path, &Path) -> Outcome<Raw>) =
        if is_npy(path) { (npy_pairs(path)?, npy_pair) } else { (idx_pairs(path)?, idx_pair) };
    let mut whole: Option<Raw> = None;
    for (part, [x, y]) in pairs {
        let mut one = read_one(&x, &y)?;
        one.parts.fill(part);
        whole = Some(match whole {
            None => one,
            Some(mut first) => {
                if first.pictures.size != one.pictures.size {
                    let why = "its pictures have another size than those of the training part";
                    return Err(Failure::Input(format!("{}: {why}", x.display())));
                }
                first.pictures.bytes.extend(one.pictures.bytes);
                first.labels.extend(one.labels);
                first.names.extend(one.names);
                first.parts.extend(one.parts);
                first
            }
        });
    }
    let mut raw = whole.unwrap_or_default();
    raw.file = name_of(path);
    Ok(raw)
}

/// Reads pictures to predict the classes of, without looking for those; their names.
///
/// # Errors
/// As [`read`].
pub fn read_unlabelled(path: &Path, [height, width, channels]: [usize; 3]) -> Outcome<Raw> {
    if path.is_dir() {
        return picture_folder::read_flat(path, [height, width, channels]);
    }
    let pictures = if is_npy(path) { npy_pictures(path)? } else { idx_pictures(path)? };
    let n = pictures.len();
    let names = numbered(n, path);
    Ok(Raw { pictures, names, labels: vec![None; n], parts: vec![Given::Any; n], ..Raw::default() })
}

fn numbered(n: usize, path: &Path) -> Vec<String> {
    let file = name_of(path);
    (0..n).map(|i| format!("{file} {i}")).collect()
}

type Pair = (Given, [PathBuf; 2]);

/// The labels beside a file of pictures, and the test part's files where there are some.
fn npy_pairs(path: &Path) -> Outcome<Vec<Pair>> {
    let [own, test] = ["", "_test"].map(|end| ["x", "y"].map(|name| path.with_file_name(format!("{name}{end}.npy"))));
    if name_of(path) != "x.npy" || !own[1].is_file() {
        let why = "NPY files of pictures are x.npy, with the classes in y.npy beside it, and x_test.npy and y_test.npy for a \
                   test part of their own";
        return Err(Failure::Input(format!("{}: {why}", path.display())));
    }
    Ok(if test[0].is_file() { vec![(Given::Train, own), (Given::Test, test)] } else { vec![(Given::Any, own)] })
}

fn idx_pairs(path: &Path) -> Outcome<Vec<Pair>> {
    let name = name_of(path).trim_end_matches(".gz").to_owned();
    let named = |name: &str| [path.with_file_name(name), path.with_file_name(format!("{name}.gz"))];
    let there = |name: &str| named(name).into_iter().find(|file| file.is_file());
    let labels = |name: &str| name.replace("images-idx3", "labels-idx1");
    let beside = there(&labels(&name)).filter(|_| name.contains("images-idx3"));
    let Some(beside) = beside else {
        let why = format!(
            "an IDX file of pictures is called …images-idx3-ubyte, with its classes beside it ({})",
            labels(&name)
        );
        return Err(Failure::Input(format!("{}: {why}", path.display())));
    };
    let own = [path.to_owned(), beside];
    let test = name.replacen("train", "t10k", 1);
    match (there(&test), there(&labels(&test))) {
        (Some(x), Some(y)) if test != name => Ok(vec![(Given::Train, own), (Given::Test, [x, y])]),
        _ => Ok(vec![(Given::Any, own)]),
    }
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::Input(format!("{}: {why}", path.display()))
}

/// The shape and the bytes of an IDX file.
fn idx(path: &Path) -> Outcome<(Vec<usize>, Vec<u8>)> {
    let file = files::open(path)?;
    let packed = name_of(path).ends_with(".gz");
    let mut input: Box<dyn Read> = if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let fail =
        |e: std::io::Error| wrong(path, if packed { format!("it is no gzip, or cut off: {e}") } else { e.to_string() });
    let mut magic = [0; 4];
    input.read_exact(&mut magic).map_err(fail)?;
    let [0, 0, 8, dimensions @ 1..=4] = magic else {
        return Err(wrong(path, "it is no IDX file of bytes: those begin with 0 0 8"));
    };
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let mut size = [0; 4];
        input.read_exact(&mut size).map_err(fail)?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    let wanted = shape.iter().map(|n| *n as f64).product::<f64>();
    if let Some(why) = memory::refusal(wanted, " by its header") {
        return Err(wrong(path, format!("it {why}")));
    }
    let mut bytes = Vec::new();
    input.take(wanted as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as f64 != wanted {
        return Err(wrong(
            path,
            format!("its header says {wanted} bytes of {shape:?}, and it has {} or more", bytes.len()),
        ));
    }
    Ok((shape, bytes))
}

/// The shape of pictures: `[n, height, width]`, or with one or three channels behind.
fn pictures_of(path: &Path, shape: &[usize], bytes: Vec<u8>) -> Outcome<Pictures> {
    let size = match shape {
        [_, height, width] => [*height, *width, 1],
        [_, height, width, channels @ (1 | 3)] => [*height, *width, *channels],
        _ => {
            return Err(wrong(
                path,
                format!("pictures are [n, height, width] or [n, height, width, 3], not {shape:?}"),
            ));
        }
    };
    if size.iter().any(|n| *n == 0 || *n > 4096) || size[0].min(size[1]) < 2 {
        return Err(wrong(path, format!("pictures of {} × {} cannot be", size[0], size[1])));
    }
    Ok(Pictures { bytes, size })
}

fn idx_pictures(path: &Path) -> Outcome<Pictures> {
    let (shape, bytes) = idx(path)?;
    pictures_of(path, &shape, bytes)
}

fn idx_pair(x: &Path, y: &Path) -> Outcome<Raw> {
    let (shape, labels) = idx(y)?;
    if shape.len() != 1 {
        return Err(wrong(y, format!("classes are one number each, not {shape:?}")));
    }
    pair(idx_pictures(x)?, labels.into_iter().map(|label| Some(label.to_string())).collect(), x, y)
}

fn pair(pictures: Pictures, labels: Vec<Option<String>>, x: &Path, y: &Path) -> Outcome<Raw> {
    let n = pictures.len();
    if n != labels.len() {
        return Err(wrong(y, format!("it has {} classes for {n} pictures", labels.len())));
    }
    Ok(Raw { names: numbered(n, x), parts: vec![Given::Any; n], pictures, labels, ..Raw::default() })
}

/// An NPY file: the type of its values, its shape, its bytes.
fn npy(path: &Path) -> Outcome<(String, Vec<usize>, Vec<u8>)> {
    let mut file: File = files::open(path)?;
    let cut_off = |e: std::io::Error| wrong(path, format!("it is no NPY file, or cut off: {e}"));
    let mut head = [0; 10];
    file.read_exact(&mut head).map_err(cut_off)?;
    if !head.starts_with(b"\x93NUMPY") {
        return Err(wrong(path, "it is no NPY file"));
    }
    let mut long = usize::from(u16::from_le_bytes([head[8], head[9]]));
    if head[6] > 1 {
        let mut more = [0; 2];
        file.read_exact(&mut more).map_err(cut_off)?;
        long += usize::from(u16::from_le_bytes(more)) << 16;
    }
    let mut header = vec![0; long];
    file.read_exact(&mut header).map_err(cut_off)?;
    let header = String::from_utf8_lossy(&header).into_owned();
    let behind = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches(['\'', '"', ':', ' ']));
    let kind = behind("descr").and_then(|rest| rest.split(['\'', '"']).next()).unwrap_or_default().to_owned();
    let shape = behind("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).map_or("", |(shape, _)| shape);
    let shape: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect();
    let shape = shape.ok_or_else(|| wrong(path, "its shape cannot be read"))?;
    if behind("fortran_order").is_some_and(|rest| rest.starts_with("True")) && shape.len() > 1 {
        return Err(wrong(path, "it is in Fortran's order; save it with numpy.ascontiguousarray"));
    }
    let bytes = files::all(file, path)?;
    Ok((kind, shape, bytes))
}

/// Numbers of an NPY file; none where its values are none.
fn npy_numbers(kind: &str, bytes: &[u8]) -> Option<Vec<f64>> {
    macro_rules! read {
        ($t:ty) => {
            Some(bytes.as_chunks().0.iter().map(|b| <$t>::from_le_bytes(*b) as f64).collect())
        };
    }
    match kind {
        "|u1" => read!(u8),
        "|i1" => read!(i8),
        "<u2" => read!(u16),
        "<i2" => read!(i16),
        "<u4" => read!(u32),
        "<i4" => read!(i32),
        "<u8" => read!(u64),
        "<i8" => read!(i64),
        "<f4" => read!(f32),
        "<f8" => read!(f64),
        "|b1" => read!(u8),
        _ => None,
    }
}

fn npy_pictures(path: &Path) -> Outcome<Pictures> {
    let (kind, shape, bytes) = npy(path)?;
    let wanted: f64 = shape.iter().map(|n| *n as f64).product();
    let bytes = if kind == "|u1" {
        bytes
    } else {
        let x = npy_numbers(&kind, &bytes)
            .ok_or_else(|| wrong(path, format!("its values are `{kind}`; pictures are bytes (numpy.uint8)")))?;
        let (low, high) = x.iter().fold((0.0f64, 0.0f64), |(low, high), x| (low.min(*x), high.max(*x)));
        // Fractions up to 1, or bytes in another type.
        let scale = if kind.starts_with("<f") && high <= 1.0 { 255.0 } else { 1.0 };
        if low < 0.0 || high * scale > 255.0 || x.iter().any(|x| x.is_nan()) {
            return Err(wrong(
                path,
                format!("its values are from {low} to {high}; pictures are from 0 to 255, or to 1"),
            ));
        }
        x.into_iter().map(|x| (x * scale).round() as u8).collect()
    };
    if bytes.len() as f64 != wanted {
        return Err(wrong(path, format!("its shape is {shape:?}, and it has {} values", bytes.len())));
    }
    pictures_of(path, &shape, bytes)
}

/// Classes: integers, of which −1 says that it is not known, or words, of which empty ones do.
fn npy_labels(path: &Path) -> Outcome<Vec<Option<String>>> {
    let (kind, shape, bytes) = npy(path)?;
    let labels: Vec<Option<String>> = if let Some(x) = npy_numbers(&kind, &bytes) {
        let known = |x: f64| Some(x.to_string()).filter(|_| x != -1.0 && !x.is_nan());
        x.into_iter().map(known).collect()
    } else if let Some(letters) = kind.strip_prefix("<U").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0) {
        let letter = |b: &[u8; 4]| char::from_u32(u32::from_le_bytes(*b)).filter(|c| *c != '\0');
        let word = |b: &[u8]| b.as_chunks().0.iter().filter_map(letter).collect::<String>();
        bytes.chunks_exact(4 * letters).map(|b| Some(word(b)).filter(|word| !word.is_empty())).collect()
    } else {
        return Err(wrong(path, format!("its values are `{kind}`; classes are integers or words")));
    };
    if shape != [labels.len()] {
        return Err(wrong(path, format!("classes are one value each, not {shape:?}")));
    }
    Ok(labels)
}

fn npy_pair(x: &Path, y: &Path) -> Outcome<Raw> {
    pair(npy_pictures(x)?, npy_labels(y)?, x, y)
}

/// Gives pictures without a class those that a CSV file with columns `picture` and `class` says; they are for training alone.
///
/// # Errors
/// The file cannot be read, has other columns, or names a picture that is not there or has another class.
pub fn take_labels(raw: &mut Raw, file: &Path) -> Outcome {
    let table = crate::table_file::read(file)?;
    let wrong = |why: String| Failure::Input(format!("{}: {why}", file.display()));
    let (Some(picture), Some(class)) = (table.find("picture"), table.find("class")) else {
        return Err(wrong("it needs the columns `picture` and `class`".into()));
    };
    let places: std::collections::HashMap<&str, usize> =
        raw.names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut found = Vec::new();
    for row in 0..table.rows() {
        let (name, class) = (table.cell(row, picture), table.cell(row, class));
        if class.is_empty() {
            continue;
        }
        let line = table.lines[row];
        let place = *places.get(name).ok_or_else(|| wrong(format!("line {line}: there is no picture `{name}`")))?;
        match &raw.labels[place] {
            Some(known) if known != class => {
                return Err(wrong(format!("line {line}: `{name}` is of the class `{known}` already, not `{class}`")));
            }
            Some(_) => {}
            None => found.push((place, class.to_owned())),
        }
    }
    for (place, class) in found {
        if let Some(other) = raw.labels[place].as_ref().filter(|other| **other != class) {
            return Err(wrong(format!("`{}` is said to be of two classes, `{other}` and `{class}`", raw.names[place])));
        }
        (raw.labels[place], raw.parts[place]) = (Some(class), Given::Labelled);
    }
    Ok(())
}
