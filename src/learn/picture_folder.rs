//! Folders of PNG and JPEG files: a folder for each class, of all sizes, some of them broken.

use crate::exif;
use agon::{Failure, Outcome, files};
use agon_agents::pictures::dataset::{Given, Raw};
use agon_core::memory;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The largest side that pictures of one size keep, and the side that others are resized to.
const LARGEST: usize = 96;
const SIDE: usize = 64;
/// The brightest value of 8 bits that a picture of 16 bits needs.
const DARK: u8 = 16;
/// Names of files that did not decode which are told.
const TOLD: usize = 5;
/// Folders whose pictures have no class.
const WITHOUT: [&str; 3] = ["unlabelled", "unlabeled", "unknown"];

/// A file that was decoded.
struct Decoded {
    bytes: Vec<u8>,
    /// Height, width and channels.
    size: [usize; 3],
}

/// Reads a folder with a folder for each class, or with folders of the parts that have those.
pub fn read(folder: &Path, side: Option<usize>) -> Outcome<Raw> {
    let part = |name: &str| match name.to_lowercase().as_str() {
        "train" | "training" => Some(Given::Train),
        "validation" | "val" | "valid" => Some(Given::Validation),
        "test" | "testing" => Some(Given::Test),
        _ => None,
    };
    let top = folders(folder)?;
    let mut found: Vec<(Given, Option<String>, PathBuf)> = Vec::new();
    let mut ignored = 0;
    let mut of_class = |given: Given, class: &Path| -> Outcome {
        let name = name(class);
        let known = Some(name.clone()).filter(|name| !WITHOUT.contains(&name.to_lowercase().as_str()));
        let (pictures, others) = pictures_below(class)?;
        ignored += others;
        found.extend(pictures.into_iter().map(|file| (given, known.clone(), file)));
        Ok(())
    };
    let in_parts = !top.is_empty() && top.iter().all(|one| part(&name(one)).is_some() || is_without(one));
    for one in &top {
        match part(&name(one)).filter(|_| in_parts) {
            Some(given) => folders(one)?.iter().try_for_each(|class| of_class(given, class))?,
            None => of_class(Given::Any, one)?,
        }
    }
    if found.is_empty() {
        let why = "there are no pictures: a folder of pictures has a folder for each class, with PNG or JPEG files; x.npy with \
                   y.npy, or train-images-idx3-ubyte with its labels, would do too; so would texts, .txt files in a folder for \
                   each class";
        return Err(Failure::Input(format!("{}: {why}", folder.display())));
    }
    let mut raw = Raw { file: format!("{}/", name(folder)), ..Raw::default() };
    if ignored > 0 {
        raw.findings.push((format!("{ignored} files are neither PNG nor JPEG"), "left out".into()));
    }
    let all = decode_all(folder, found.iter().map(|(.., file)| file.as_path()), side, &mut raw)?;
    let mut sizes: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    let kept = found.into_iter().zip(all).filter_map(|(found, picture)| Some((found, picture?)));
    let kept: Vec<_> = kept.collect();
    kept.iter().for_each(|(_, picture)| *sizes.entry([picture.size[0], picture.size[1]]).or_default() += 1);
    let colours = if kept.iter().any(|(_, picture)| is_coloured(picture)) { 3 } else { 1 };
    let own = sizes.keys().next().copied().filter(|own| sizes.len() == 1 && own.iter().all(|n| *n <= LARGEST));
    let to = match (side, own) {
        (Some(side), _) => [side; 2],
        (None, Some(own)) => own,
        (None, None) => [SIDE; 2],
    };
    if sizes.keys().any(|size| *size != to) {
        let size = |[height, width]: &[usize; 2]| format!("{height} × {width}");
        let what = if sizes.len() == 1 {
            format!("the pictures have {}", sizes.keys().map(size).collect::<String>())
        } else {
            let (first, last) = (sizes.keys().next().map(size), sizes.keys().next_back().map(size));
            format!(
                "the pictures have {} sizes, {} to {}",
                sizes.len(),
                first.unwrap_or_default(),
                last.unwrap_or_default()
            )
        };
        raw.findings.push((what, format!("resized to {} × {} (pictures.side sets another side)", to[0], to[1])));
    }
    raw.pictures.size = [to[0], to[1], colours];
    for ((given, class, file), picture) in kept {
        raw.pictures.bytes.extend(fitted(&picture, [to[0], to[1], colours]));
        raw.labels.push(class);
        raw.names.push(below(folder, &file));
        raw.parts.push(given);
    }
    Ok(raw)
}

/// Reads all pictures below a folder, to predict their classes; those that do not decode are told.
pub fn read_flat(folder: &Path, size: [usize; 3]) -> Outcome<Raw> {
    let (found, _) = pictures_below(folder)?;
    if found.is_empty() {
        return Err(Failure::Input(format!("{}: there is no PNG or JPEG file", folder.display())));
    }
    let mut raw = Raw::default();
    let all = decode_all(folder, found.iter().map(PathBuf::as_path), Some(size[0].max(size[1])), &mut raw)?;
    raw.pictures.size = size;
    for (file, picture) in found.iter().zip(all).filter_map(|(file, picture)| Some((file, picture?))) {
        raw.pictures.bytes.extend(fitted(&picture, size));
        raw.names.push(below(folder, file));
        raw.labels.push(None);
        raw.parts.push(Given::Any);
    }
    Ok(raw)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn below(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

/// Whether what is in this folder has no class.
pub fn is_without(folder: &Path) -> bool {
    WITHOUT.contains(&name(folder).to_lowercase().as_str())
}

fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let all = std::fs::read_dir(folder).map_err(|e| Failure::read(folder, &e))?;
    let mut all: Vec<PathBuf> = all.filter_map(|entry| Some(entry.ok()?.path())).collect();
    all.retain(|path| !name(path).starts_with('.'));
    all.sort();
    Ok(all)
}

fn folders(folder: &Path) -> Outcome<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// All pictures below a folder in the order of their names, and how many other files there are. Links to folders are not
/// followed: they may lead in a circle.
fn pictures_below(folder: &Path) -> Outcome<(Vec<PathBuf>, usize)> {
    let (mut pictures, mut others) = (Vec::new(), 0);
    for path in entries(folder)? {
        if path.is_dir() {
            if !path.is_symlink() {
                let (more, not) = pictures_below(&path)?;
                pictures.extend(more);
                others += not;
            }
        } else if path.extension().is_some_and(|end| ["png", "jpg", "jpeg"].iter().any(|e| end.eq_ignore_ascii_case(e)))
        {
            pictures.push(path);
        } else {
            others += 1;
        }
    }
    Ok((pictures, others))
}

/// Decodes files; none in the place of those that do not decode, which are told. What is much larger than it will be is
/// made smaller at once, so that memory holds all.
fn decode_all<'a>(
    folder: &Path,
    files: impl Iterator<Item = &'a Path>,
    side: Option<usize>,
    raw: &mut Raw,
) -> Outcome<Vec<Option<Decoded>>> {
    let (mut broken, mut bytes, mut all) = (Vec::new(), 0.0, Vec::new());
    let most = side.unwrap_or(SIDE).max(LARGEST);
    for file in files {
        let found = decode(file).map_err(|why| broken.push(format!("{}: {why}", below(folder, file)))).ok();
        let small = found.map(|picture| {
            let [height, width, channels] = picture.size;
            if height.max(width) <= 4 * most {
                return picture;
            }
            let size = [height, width].map(|n| (n * 4 * most / height.max(width)).max(1));
            let bytes = resized(&picture, size);
            Decoded { bytes, size: [size[0], size[1], channels] }
        });
        bytes += small.as_ref().map_or(0.0, |picture| picture.bytes.len() as f64);
        all.push(small);
        if all.len() % 1000 == 0
            && let Some(why) = memory::refusal(bytes, " more for the pictures read next")
        {
            return Err(Failure::Input(format!("{}: reading {why}", folder.display())));
        }
    }
    if broken.len() == all.len() {
        return Err(Failure::Input(format!("{}: no picture can be decoded: {}", folder.display(), broken[0])));
    }
    if !broken.is_empty() {
        let some: Vec<&str> = broken.iter().take(TOLD).map(String::as_str).collect();
        let more = if broken.len() > TOLD { ", …" } else { "" };
        let what = format!("{} pictures cannot be decoded ({}{more})", broken.len(), some.join(", "));
        raw.findings.push((what, "left out".into()));
    }
    Ok(all)
}

fn decode(file: &Path) -> Result<Decoded, String> {
    let bytes = files::open(file).and_then(|open| files::all(open, file)).map_err(|e| e.to_string())?;
    // By its first bytes: many files are called what they are not.
    let picture = if bytes.starts_with(b"\x89PNG") { png(&bytes)? } else { jpeg(&bytes)? };
    if picture.size.contains(&0) { Err("it is empty".into()) } else { Ok(picture) }
}

fn png(bytes: &[u8]) -> Result<Decoded, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let size = reader.output_buffer_size().filter(|n| *n < 1 << 30).ok_or("it is too large")?;
    let mut out = vec![0; size];
    let is_wide = reader.info().bit_depth == png::BitDepth::Sixteen;
    let info = reader.next_frame(&mut out).map_err(|e| e.to_string())?;
    out.truncate(info.buffer_size());
    let (channels, bytes) = match info.color_type {
        png::ColorType::Grayscale => (1, out),
        png::ColorType::GrayscaleAlpha => (1, on_white(&out, 2)),
        png::ColorType::Rgba => (3, on_white(&out, 4)),
        _ => (3, out),
    };
    // Of 16 bits the upper eight are read.
    let most = bytes.iter().copied().max().unwrap_or(0);
    if is_wide && most < DARK {
        let most = 256 * usize::from(most) + 255;
        return Err(format!(
            "its values of 16 bits are all below {} of 65,535: in 8 bits it is black; make it brighter",
            most + 1
        ));
    }
    Ok(Decoded { bytes, size: [info.height as usize, info.width as usize, channels] })
}

/// Transparent pixels as on white paper; the last of `channels` says how opaque one is.
fn on_white(bytes: &[u8], channels: usize) -> Vec<u8> {
    let pixel = |pixel: &[u8]| {
        let (alpha, colours) = pixel.split_last().map_or((255, vec![]), |(a, c)| (u32::from(*a), c.to_vec()));
        colours.into_iter().map(move |c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    };
    bytes.chunks_exact(channels).flat_map(pixel).collect()
}

fn jpeg(bytes: &[u8]) -> Result<Decoded, String> {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let colours = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(DecoderOptions::default().jpeg_set_out_colorspace(colours));
    let bytes = decoder.decode().map_err(|e| e.to_string())?;
    let info = decoder.info().ok_or("it has no size")?;
    let size = [usize::from(info.height), usize::from(info.width), if grey { 1 } else { 3 }];
    if bytes.len() != size.iter().product::<usize>() {
        Err("it is cut off".into())
    } else {
        let (bytes, size) = exif::upright(bytes, size, decoder.exif().map_or(1, |exif| exif::orientation(exif)));
        Ok(Decoded { bytes, size })
    }
}

fn is_coloured(picture: &Decoded) -> bool {
    picture.size[2] == 3 && picture.bytes.chunks_exact(3).any(|p| p[0] != p[1] || p[1] != p[2])
}

/// The picture with this size and these channels.
fn fitted(picture: &Decoded, [height, width, channels]: [usize; 3]) -> Vec<u8> {
    let bytes =
        if picture.size[..2] == [height, width] { picture.bytes.clone() } else { resized(picture, [height, width]) };
    match (picture.size[2], channels) {
        (1, 3) => bytes.into_iter().flat_map(|x| [x; 3]).collect(),
        // Luma of ITU-R BT.601, as JPEG has it.
        (3, 1) => bytes
            .chunks_exact(3)
            .map(|p| (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])).round() as u8)
            .collect(),
        _ => bytes,
    }
}

/// For each of `to` places the first of `from` that it sees, and how much of each: a triangle as wide as two places, or two
/// pixels where the picture grows.
fn seen(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f32 / to as f32;
    let wide = scale.max(1.0);
    let one = |i: usize| {
        let centre = (i as f32 + 0.5) * scale - 0.5;
        let first = (centre - wide).ceil().max(0.0) as usize;
        let last = ((centre + wide).floor() as usize).min(from - 1);
        let weights: Vec<f32> = (first..=last).map(|k| (1.0 - (k as f32 - centre).abs() / wide).max(0.0)).collect();
        let sum: f32 = weights.iter().sum();
        (first, weights.into_iter().map(|w| w / sum).collect())
    };
    (0..to).map(one).collect()
}

/// The picture in another size, first its rows, then its columns.
fn resized(picture: &Decoded, [height, width]: [usize; 2]) -> Vec<u8> {
    let [tall, wide, channels] = picture.size;
    let mut rows = vec![0f32; tall * width * channels];
    for (x, (first, weights)) in seen(wide, width).iter().enumerate() {
        for y in 0..tall {
            for c in 0..channels {
                let at = |k: usize| f32::from(picture.bytes[(y * wide + first + k) * channels + c]);
                rows[(y * width + x) * channels + c] = weights.iter().enumerate().map(|(k, w)| w * at(k)).sum();
            }
        }
    }
    let mut out = vec![0; height * width * channels];
    let line = width * channels;
    for (y, (first, weights)) in seen(tall, height).iter().enumerate() {
        for x in 0..line {
            let value: f32 = weights.iter().enumerate().map(|(k, w)| w * rows[(first + k) * line + x]).sum();
            out[y * line + x] = value.round() as u8;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_resized_by_what_each_place_sees() {
        let picture = |bytes: &[u8], size| Decoded { bytes: bytes.to_vec(), size };
        let even = picture(&[7; 30 * 20 * 3], [30, 20, 3]);
        assert!(resized(&even, [9, 50]).iter().all(|x| *x == 7), "what is even stays even");
        // Twice as wide as it becomes: each place sees two pixels fully and their neighbours less.
        let line = picture(&[0, 100, 200, 200], [1, 4, 1]);
        assert_eq!(resized(&line, [1, 2]), [71, 186]);
        assert_eq!(resized(&picture(&[0, 100], [1, 2, 1]), [1, 4]), [0, 25, 75, 100]);
        assert_eq!(fitted(&picture(&[255, 0, 0], [1, 1, 3]), [1, 1, 1]), [76]);
        assert_eq!(on_white(&[10, 20, 30, 0, 10, 20, 30, 255], 4), [255, 255, 255, 10, 20, 30]);
    }
}
