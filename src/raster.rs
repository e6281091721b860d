//! A picture in three dimensions as dots: rays from a camera to the nearest solid, the ground's grid and contacts.
//! Front ends turn dots into characters or pixels.

use agon_core::scene::{Ink, Solid, Space, Vector};

/// How far people have turned the camera from where a scene puts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orbit {
    /// rad around the vertical axis.
    azimuth: f64,
    /// rad upwards.
    elevation: f64,
    /// How many times larger things are.
    zoom: f64,
}

impl Default for Orbit {
    fn default() -> Self {
        Self { azimuth: 0.0, elevation: 0.0, zoom: 1.0 }
    }
}

impl Orbit {
    /// The keys, for a line of help.
    pub const KEYS: &'static str = "hjkl turn [ ] zoom 0 reset";

    /// Answers a key; whether it is one of its own.
    pub fn key(&mut self, key: char) -> bool {
        const TURN: f64 = 0.15;
        match key {
            'h' => self.azimuth -= TURN,
            'l' => self.azimuth += TURN,
            'k' => self.elevation = (self.elevation + TURN).min(3.0),
            'j' => self.elevation = (self.elevation - TURN).max(-3.0),
            ']' => self.zoom = (self.zoom * 1.2).min(20.0),
            '[' => self.zoom = (self.zoom / 1.2).max(0.05),
            '0' => *self = Self::default(),
            _ => return false,
        }
        true
    }
}

/// A dot that something is seen at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// The colour.
    pub ink: Ink,
    /// From 0, dark or far, to 1, lit and near.
    pub tone: f64,
    /// How far it is from the camera along its line of sight.
    pub depth: f64,
    /// The number of the solid that it belongs to; none of lines and marks.
    pub solid: Option<usize>,
}

/// Square dots, row after row from the top.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Dots of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    dots: Vec<Option<Dot>>,
}

/// What a ray meets: how far along it, and the direction that the surface faces.
type Hit = (f64, Vector);

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// a + s b
fn along(a: Vector, s: f64, b: Vector) -> Vector {
    std::array::from_fn(|i| a[i] + s * b[i])
}

fn difference(a: Vector, b: Vector) -> Vector {
    along(a, -1.0, b)
}

fn unit(a: Vector) -> Vector {
    let size = dot(a, a).sqrt();
    if size > 0.0 { a.map(|x| x / size) } else { a }
}

/// The nearer root of a t² + 2 b t + c.
fn first_root(a: f64, b: f64, c: f64) -> Option<f64> {
    let under = b * b - a * c;
    (a > 0.0 && under >= 0.0).then(|| (-b - under.sqrt()) / a)
}

/// Where the ray `eye + t ray` meets the capsule about the line from `start` to `end` first.
fn capsule([start, end]: [Vector; 2], radius: f64, eye: Vector, ray: Vector) -> Option<Hit> {
    let (axis, from) = (difference(end, start), difference(eye, start));
    let (aa, ar, af) = (dot(axis, axis), dot(axis, ray), dot(axis, from));
    let (rr, rf, ff) = (dot(ray, ray), dot(ray, from), dot(from, from));
    // The endless cylinder about the line, in units of aa.
    let side = first_root(aa * rr - ar * ar, aa * rf - af * ar, aa * ff - af * af - radius * radius * aa);
    let side = side.filter(|t| (0.0..=aa).contains(&(af + t * ar)));
    let ball = |centre: Vector| {
        let from = difference(eye, centre);
        first_root(rr, dot(ray, from), dot(from, from) - radius * radius)
    };
    let t = side.or_else(|| [ball(start), ball(end)].into_iter().flatten().reduce(f64::min))?;
    let point = along(from, t, ray);
    let share = if aa > 0.0 { (dot(point, axis) / aa).clamp(0.0, 1.0) } else { 0.0 };
    Some((t, unit(along(point, -share, axis))))
}

/// Where a ray meets a form that is a unit form in its own half axes.
fn stretched(solid: &Solid, centre: Vector, axes: &[Vector; 3], eye: Vector, ray: Vector) -> Option<Hit> {
    let from = difference(eye, centre);
    let scaled = axes.map(|a| {
        let size = dot(a, a);
        a.map(|x| x / size)
    });
    let (o, d) = (scaled.map(|a| dot(from, a)), scaled.map(|a| dot(ray, a)));
    let facing = |local: Vector| unit(std::array::from_fn(|i| (0..3).map(|k| local[k] * scaled[k][i]).sum()));
    let at = |t: f64| along(o, t, d);
    match solid {
        Solid::Ellipsoid { .. } => first_root(dot(d, d), dot(o, d), dot(o, o) - 1.0).map(|t| (t, facing(at(t)))),
        Solid::Cylinder { .. } => {
            let side =
                first_root(d[0] * d[0] + d[1] * d[1], o[0] * d[0] + o[1] * d[1], o[0] * o[0] + o[1] * o[1] - 1.0);
            let side = side.filter(|t| at(*t)[2].abs() <= 1.0).map(|t| (t, facing([at(t)[0], at(t)[1], 0.0])));
            let cap = (-d[2].signum() - o[2]) / d[2];
            let within = at(cap)[0].powi(2) + at(cap)[1].powi(2) <= 1.0;
            side.or_else(|| within.then(|| (cap, facing([0.0, 0.0, -d[2].signum()]))))
        }
        _ => {
            let (mut near, mut far, mut side) = (f64::NEG_INFINITY, f64::INFINITY, [0.0; 3]);
            for k in 0..3 {
                let [a, b] = [(-d[k].signum() - o[k]) / d[k], (d[k].signum() - o[k]) / d[k]];
                if a > near {
                    (near, side) = (a, [0.0; 3]);
                    side[k] = -d[k].signum();
                }
                far = far.min(b);
            }
            (near <= far).then(|| (near, facing(side)))
        }
    }
}

/// The middle of a solid, and a radius about it that holds all of it.
fn bounds(solid: &Solid) -> (Vector, f64) {
    match solid {
        Solid::Segment { ends } | Solid::Capsule { ends, .. } => {
            let half = difference(ends[1], ends[0]).map(|x| 0.5 * x);
            let radius = if let Solid::Capsule { radius, .. } = solid { *radius } else { 0.0 };
            (along(ends[0], 1.0, half), dot(half, half).sqrt() + radius)
        }
        Solid::Box { centre, half_axes }
        | Solid::Ellipsoid { centre, half_axes }
        | Solid::Cylinder { centre, half_axes } => (*centre, half_axes.iter().map(|a| dot(*a, *a)).sum::<f64>().sqrt()),
    }
}

/// A camera, and the picture that it takes.
struct Camera {
    eye: Vector,
    /// To the right, upwards and forwards, of size 1.
    axes: [Vector; 3],
    /// Dots that something of size 1 at distance 1 is wide.
    focus: f64,
    /// The distance to the centre, and what is to be seen about it.
    distance: f64,
    reach: f64,
    picture: Picture,
}

/// Half the angle of view.
const HALF_VIEW: f64 = 0.3;

impl Camera {
    fn new(space: &Space, orbit: Orbit, width: usize, height: usize) -> Self {
        let azimuth = space.azimuth + orbit.azimuth;
        // Straight from above or below there would be no upright.
        let elevation = (space.elevation + orbit.elevation).clamp(-1.5, 1.5);
        let ((sin, cos), (up, level)) = (azimuth.sin_cos(), elevation.sin_cos());
        let back = [level * cos, level * sin, up];
        let distance = space.reach / HALF_VIEW.sin() / orbit.zoom;
        Self {
            eye: along(space.centre, distance, back),
            axes: [[-sin, cos, 0.0], [-up * cos, -up * sin, level], back.map(|x| -x)],
            focus: 0.5 * width.min(height) as f64 / HALF_VIEW.tan(),
            distance,
            reach: space.reach,
            picture: Picture { width, height, dots: vec![None; width * height] },
        }
    }

    /// Where a point is in the picture, in dots from the left and from the top, and its depth; none behind the camera.
    fn project(&self, point: Vector) -> Option<[f64; 3]> {
        let [x, y, depth] = self.axes.map(|a| dot(a, difference(point, self.eye)));
        let scale = self.focus / depth;
        let (half_width, half_height) = (0.5 * self.picture.width as f64, 0.5 * self.picture.height as f64);
        (depth > 1e-3 * self.reach).then_some([half_width + scale * x, half_height - scale * y, depth])
    }

    /// From 1, where things are near, to less, where they are far.
    fn nearness(&self, depth: f64) -> f64 {
        (1.0 - 0.35 * (depth - self.distance + self.reach) / (2.0 * self.reach)).clamp(0.4, 1.0)
    }

    /// Draws a dot unless something is before it.
    fn plot(&mut self, x: f64, y: f64, dot: Dot) {
        let Picture { width, height, dots } = &mut self.picture;
        if x >= 0.0 && y >= 0.0 && x < *width as f64 && y < *height as f64 {
            let place = &mut dots[y as usize * *width + x as usize];
            if place.is_none_or(|there| dot.depth < there.depth) {
                *place = Some(dot);
            }
        }
    }

    fn solid(&mut self, number: usize, solid: &Solid, ink: Ink) {
        if let Solid::Segment { ends } = solid {
            return self.line(*ends, ink, 1.0);
        }
        let (middle, radius) = bounds(solid);
        let Picture { width, height, .. } = self.picture;
        // Only dots about its middle can see it; all, where the camera is within.
        let [mut columns, mut rows] = [0..width, 0..height];
        if let Some([x, y, depth]) = self.project(middle)
            && depth > 2.0 * radius
        {
            let size = self.focus * radius / (depth - radius) * 1.2 + 1.0;
            columns = (x - size).max(0.0) as usize..((x + size).max(0.0) as usize).min(width);
            rows = (y - size).max(0.0) as usize..((y + size).max(0.0) as usize).min(height);
        }
        // Light comes from above the viewer's left shoulder.
        let [right, up, forward] = self.axes;
        let light = unit(along(along(forward.map(|x| -x), 0.8, up), -0.5, right));
        for row in rows {
            for column in columns.clone() {
                let x = (column as f64 + 0.5 - 0.5 * width as f64) / self.focus;
                let y = (0.5 * height as f64 - row as f64 - 0.5) / self.focus;
                let ray = along(along(forward, x, right), y, up);
                let hit = match solid {
                    Solid::Segment { .. } => None,
                    Solid::Capsule { ends, radius } => capsule(*ends, *radius, self.eye, ray),
                    Solid::Box { centre, half_axes }
                    | Solid::Ellipsoid { centre, half_axes }
                    | Solid::Cylinder { centre, half_axes } => stretched(solid, *centre, half_axes, self.eye, ray),
                };
                if let Some((depth, facing)) = hit.filter(|(t, _)| *t > 0.0) {
                    let tone = self.nearness(depth) * (0.3 + 0.7 * dot(facing, light).max(0.0));
                    self.plot(column as f64, row as f64, Dot { ink, tone, depth, solid: Some(number) });
                }
            }
        }
    }

    /// A thin line, dot by dot.
    fn line(&mut self, ends: [Vector; 2], ink: Ink, tone: f64) {
        let along_it = difference(ends[1], ends[0]);
        let length = dot(along_it, along_it).sqrt();
        let steps = (length * self.focus / self.distance * 1.5).clamp(1.0, 2000.0) as usize;
        for step in 0..=steps {
            let point = along(ends[0], step as f64 / steps as f64, along_it);
            if let Some([x, y, depth]) = self.project(point) {
                let tone = tone * self.nearness(depth);
                self.plot(x, y, Dot { ink, tone, depth, solid: None });
            }
        }
    }

    /// A grid that stands still, within a circle about the centre.
    fn ground(&mut self, height: f64, centre: Vector) {
        let (reach, apart) = (2.2 * self.reach, round_number(0.8 * self.reach));
        for axis in [0, 1] {
            let mut at = ((centre[axis] - reach) / apart).ceil() * apart;
            // Far from 0 a step may be lost in rounding: there are never so many lines.
            for _ in 0..20 {
                let half = (reach * reach - (at - centre[axis]).powi(2)).max(0.0).sqrt();
                let end = |sign: f64| {
                    let mut end = [0.0, 0.0, height];
                    (end[axis], end[1 - axis]) = (at, centre[1 - axis] + sign * half);
                    end
                };
                if half > 0.0 {
                    self.line([end(-1.0), end(1.0)], Ink::Frame, 0.6);
                }
                at += apart;
            }
        }
    }

    /// A cross before everything, where things touch.
    fn mark(&mut self, point: Vector) {
        let Some([x, y, _]) = self.project(point) else { return };
        let size = (self.picture.width.min(self.picture.height) / 160 + 1) as i32;
        let dot = Dot { ink: Ink::Danger, tone: 1.0, depth: 0.0, solid: None };
        for step in -size..=size {
            let by = f64::from(step);
            self.plot(x + by, y + by, dot);
            self.plot(x + by, y - by, dot);
        }
    }
}

/// The nearest of 1, 2 and 5 times a power of ten below x.
fn round_number(x: f64) -> f64 {
    let power = 10f64.powf(x.max(1e-12).log10().floor());
    [5.0, 2.0, 1.0].map(|m| m * power).into_iter().find(|r| *r <= x).unwrap_or(power)
}

impl Picture {
    /// The picture of `space` in so many square dots.
    pub fn new(space: &Space, orbit: Orbit, width: usize, height: usize) -> Self {
        let mut camera = Camera::new(space, orbit, width, height);
        if let Some(height) = space.ground {
            camera.ground(height, space.centre);
        }
        space.solids.iter().enumerate().for_each(|(number, (solid, ink))| camera.solid(number, solid, *ink));
        space.contacts.iter().for_each(|point| camera.mark(*point));
        camera.picture.part(0.06 * space.reach);
        camera.picture
    }

    /// What is at this dot, if anything; nothing outside.
    pub fn at(&self, x: usize, y: usize) -> Option<Dot> {
        if x < self.width && y < self.height { self.dots[y * self.width + x] } else { None }
    }

    /// Leaves a gap of one dot around whatever stands so far before something else.
    fn part(&mut self, apart: f64) {
        let before = self.clone();
        for (i, place) in self.dots.iter_mut().enumerate() {
            let (x, y) = (i % before.width, i / before.width);
            let around = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
            let hidden = |dot: Dot| {
                let near = |o: Dot| o.solid.is_some() && o.solid != dot.solid && o.depth < dot.depth - apart;
                around.iter().any(|(x, y)| before.at(*x, *y).is_some_and(near))
            };
            if place.is_some_and(hidden) {
                *place = None;
            }
        }
    }

    /// The braille character of two columns and four rows of dots, whose dark ones are left out in a pattern; and the
    /// nearest of them, which gives the colour.
    pub fn cell(&self, column: usize, row: usize) -> (char, Option<Dot>) {
        /// The bit of each dot, by row and column (Unicode's order).
        const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let (mut bits, mut nearest) = (0, None::<Dot>);
        for (y, line) in BITS.iter().enumerate() {
            for (x, bit) in line.iter().enumerate() {
                let Some(dot) = self.at(2 * column + x, 4 * row + y) else { continue };
                let threshold = if (x + y) % 2 == 0 { 0.0 } else { 0.33 };
                if dot.solid.is_none() || dot.tone > threshold {
                    bits |= bit;
                }
                if nearest.is_none_or(|n| dot.depth < n.depth) {
                    nearest = Some(dot);
                }
            }
        }
        (char::from_u32(0x2800 + bits).unwrap_or(' '), nearest)
    }

    /// The picture as lines of braille, without colours.
    pub fn text(&self) -> String {
        let line = |row| (0..self.width.div_ceil(2)).map(|column| self.cell(column, row).0).collect::<String>();
        let lines: Vec<String> = (0..self.height.div_ceil(4)).map(line).collect();
        lines.iter().map(|l| l.trim_end_matches('\u{2800}')).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(solids: Vec<(Solid, Ink)>, orbit: Orbit) -> Picture {
        // From the side of the smallest y, level: x to the right, z upwards.
        let azimuth = -std::f64::consts::FRAC_PI_2;
        Picture::new(&Space { solids, reach: 1.0, azimuth, ..Space::default() }, orbit, 101, 101)
    }

    fn ball(centre: Vector, radius: f64) -> Solid {
        Solid::Capsule { ends: [centre, centre], radius }
    }

    fn count(picture: &Picture) -> usize {
        (0..picture.height)
            .flat_map(|y| (0..picture.width).map(move |x| (x, y)))
            .filter(|(x, y)| picture.at(*x, *y).is_some())
            .count()
    }

    #[test]
    fn x_is_to_the_right_and_z_upwards() {
        let picture = seen(vec![(ball([0.5, 0.0, 0.5], 0.2), Ink::Body)], Orbit::default());
        assert!(picture.at(75, 26).is_some() && picture.at(25, 26).is_none() && picture.at(75, 75).is_none());
    }

    #[test]
    fn what_is_nearer_hides_what_is_behind() {
        let (near, far) = (ball([0.0, -0.5, 0.0], 0.2), ball([0.0, 0.5, 0.0], 0.2));
        for solids in
            [vec![(near.clone(), Ink::Goal), (far.clone(), Ink::Body)], vec![(far, Ink::Body), (near, Ink::Goal)]]
        {
            let picture = seen(solids.clone(), Orbit::default());
            assert_eq!(picture.at(50, 50).unwrap().ink, Ink::Goal);
            // From behind it is the other way round.
            let behind = Orbit { azimuth: std::f64::consts::PI, ..Orbit::default() };
            assert_eq!(seen(solids, behind).at(50, 50).unwrap().ink, Ink::Body);
        }
    }

    /// A ball of radius r is a disk of the angle asin(r / distance), in whichever form it is given.
    #[test]
    fn balls_are_as_large_as_they_look() {
        let half_axes = [[0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.5, 0.0]];
        let distance = 1.0 / HALF_VIEW.sin();
        let radius = (0.5 / distance).asin().tan() / HALF_VIEW.tan() * 50.5;
        let area = std::f64::consts::PI * radius * radius;
        for solid in [ball([0.0; 3], 0.5), Solid::Ellipsoid { centre: [0.0; 3], half_axes }] {
            let dots = count(&seen(vec![(solid, Ink::Body)], Orbit::default())) as f64;
            assert!((dots / area - 1.0).abs() < 0.03, "{dots} {area}");
        }
    }

    /// The side of a box that faces the camera, and a cylinder across the line of sight, are rectangles.
    #[test]
    fn boxes_and_cylinders_have_straight_sides() {
        let half_axes = [[0.0, 1e-3, 0.0], [0.0, 0.0, 0.25], [0.5, 0.0, 0.0]];
        let long = [[0.0, 0.25, 0.0], [0.0, 0.0, 0.25], [0.5, 0.0, 0.0]];
        let scale = 50.5 / HALF_VIEW.tan() / (1.0 / HALF_VIEW.sin());
        for solid in [Solid::Box { centre: [0.0; 3], half_axes }, Solid::Cylinder { centre: [0.0; 3], half_axes: long }]
        {
            let dots = count(&seen(vec![(solid.clone(), Ink::Body)], Orbit::default())) as f64;
            assert!((dots / (scale * scale * 0.5) - 1.0).abs() < 0.12, "{solid:?}: {dots} {}", scale * scale * 0.5);
        }
    }

    #[test]
    fn numbers_without_measure_do_no_harm() {
        let odd = [f64::NAN, f64::INFINITY, 1e300];
        let solids = [
            Solid::Capsule { ends: [odd, [0.0; 3]], radius: f64::NAN },
            Solid::Box { centre: odd, half_axes: [odd, [0.0; 3], odd] },
            Solid::Cylinder { centre: [0.0; 3], half_axes: [[0.0; 3]; 3] },
            Solid::Segment { ends: [odd, [1e200; 3]] },
        ];
        let space = Space {
            solids: solids.into_iter().map(|s| (s, Ink::Body)).collect(),
            contacts: vec![odd],
            ground: Some(f64::NAN),
            centre: odd,
            ..Space::default()
        };
        for (width, height) in [(0, 0), (1, 1), (40, 30)] {
            Picture::new(&space, Orbit::default(), width, height).text();
        }
    }

    #[test]
    fn keys_turn_and_come_back() {
        let mut orbit = Orbit::default();
        assert!("hjjk]".chars().all(|c| orbit.key(c)) && !orbit.key('q') && orbit != Orbit::default());
        orbit.key('0');
        assert_eq!(orbit, Orbit::default());
    }
}
