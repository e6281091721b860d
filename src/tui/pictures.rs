//! Which of a run's pictures is shown: the state of its environment, the graphs of what led there, what was learned of its
//! data. Some have parts, such as one of each product.

use super::app::Key;
use super::pane::{self, Theme};
use crate::raster::Orbit;
use agon_core::plot::Plot;
use agon_core::scene::Scene;
use ratatui::Frame;
use ratatui::layout::Rect;

/// One of the pictures.
#[derive(Clone, Copy)]
pub enum Picture<'a> {
    /// A state, if there is one yet.
    Scene(Option<&'a Scene>),
    /// What led there: the graphs of a state.
    Graphs(&'a Scene),
    /// What was learned.
    Plot(&'a Plot),
}

impl Picture<'_> {
    /// The names of its parts.
    fn parts(&self) -> Vec<&str> {
        match self {
            Self::Scene(_) => Vec::new(),
            Self::Graphs(scene) => scene.graphs.iter().map(|graph| graph.name.as_str()).collect(),
            Self::Plot(plot) => plot.parts(),
        }
    }
}

/// All there are, in the order in which a key goes through them.
fn all<'a>(scene: Option<&'a Scene>, plots: &'a [Plot]) -> Vec<Picture<'a>> {
    let mut all = Vec::new();
    // Who learns from data has no environment, and who is only looked at may have no picture of it yet.
    if scene.map_or(plots.is_empty(), Scene::has_picture) {
        all.push(Picture::Scene(scene));
    }
    all.extend(scene.filter(|scene| !scene.graphs.is_empty()).map(Picture::Graphs));
    all.extend(plots.iter().map(Picture::Plot));
    all
}

/// Which of them was chosen, and which of its parts: counted from the first, round and round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    picture: i32,
    part: i32,
}

fn place(chosen: i32, of: usize) -> usize {
    chosen.rem_euclid((of as i32).max(1)) as usize
}

impl Choice {
    /// Answers a key; whether it is one of its own.
    pub fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Left => self.picture = self.picture.wrapping_sub(1),
            Key::Right | Key::Tab => self.picture = self.picture.wrapping_add(1),
            Key::Up => self.part = self.part.wrapping_sub(1),
            Key::Down => self.part = self.part.wrapping_add(1),
            _ => return false,
        }
        true
    }

    /// The picture that was chosen.
    pub fn of<'a>(&self, scene: Option<&'a Scene>, plots: &'a [Plot]) -> Picture<'a> {
        let all = all(scene, plots);
        all[place(self.picture, all.len())]
    }

    /// What keys choose, as far as there is a choice; `picture`: those that choose a picture.
    pub fn keys(&self, scene: Option<&Scene>, plots: &[Plot], picture: &str) -> String {
        let all = all(scene, plots);
        let chosen = place(self.picture, all.len());
        let mut keys = Vec::new();
        if all.len() > 1 {
            keys.push(format!("{picture} picture {} of {}", chosen + 1, all.len()));
        }
        let parts = all[chosen].parts();
        if parts.len() > 1 {
            keys.push(format!("↑ ↓ {} of {}", place(self.part, parts.len()) + 1, parts.len()));
        }
        keys.join("   ")
    }

    /// Draws it. `title`: what a scene is called.
    pub fn draw(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        title: &str,
        picture: Picture<'_>,
        orbit: Orbit,
        theme: Theme,
    ) {
        let part = place(self.part, picture.parts().len());
        match picture {
            Picture::Scene(scene) => pane::scene::draw(frame, area, title, scene, orbit, theme),
            Picture::Graphs(scene) => {
                let graph = &scene.graphs[part];
                let title = if graph.name.is_empty() { title.to_owned() } else { format!("{} · {title}", graph.name) };
                // Beside a picture of the state, its notes are there.
                let notes = if scene.has_picture() { &[][..] } else { &scene.notes };
                pane::graph::draw(frame, area, &title, graph, notes, theme);
            }
            Picture::Plot(plot) => pane::plot::draw(frame, area, plot, part, theme),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::graph::Graph;
    use agon_core::plot::{Body, Table};
    use agon_core::scene::Ink;

    fn plot(title: &str) -> Plot {
        Plot { title: title.into(), body: Body::Table(Table::default()) }
    }

    fn graphs(names: &[&str]) -> Vec<Graph> {
        names.iter().map(|name| Graph { name: (*name).into(), ..Graph::default() }).collect()
    }

    /// Keys go through all pictures round and round; another picture is of the same product.
    #[test]
    fn keys_go_round() {
        let mut scene = Scene { graphs: graphs(&["a", "b", "c"]), ..Scene::default() };
        scene.rect(0.0, 0.0, 1.0, 1.0, Ink::Agent);
        let demand = Plot { title: "demand".into(), body: Body::Graphs { graphs: graphs(&["a", "b", "c"]) } };
        let plots = [demand, plot("elasticities")];
        let mut choice = Choice::default();
        assert!(matches!(choice.of(Some(&scene), &plots), Picture::Scene(Some(_))));
        assert_eq!(choice.keys(Some(&scene), &plots, "← →"), "← → picture 1 of 4");
        assert!(choice.key(Key::Right) && choice.key(Key::Up) && !choice.key(Key::Home));
        assert_eq!(choice.keys(Some(&scene), &plots, "← →"), "← → picture 2 of 4   ↑ ↓ 3 of 3");
        choice.key(Key::Right);
        assert_eq!(choice.keys(Some(&scene), &plots, "← →"), "← → picture 3 of 4   ↑ ↓ 3 of 3");
        assert!(matches!(choice.of(Some(&scene), &plots), Picture::Plot(plot) if plot.title == "demand"));
        (0..3).for_each(|_| assert!(choice.key(Key::Left)));
        assert!(matches!(choice.of(Some(&scene), &plots), Picture::Plot(plot) if plot.title == "elasticities"));
        // Before there is a scene, and where there is nothing else.
        assert!(matches!(choice.of(None, &plots[..1]), Picture::Plot(_)));
        assert!(matches!(choice.of(None, &[]), Picture::Scene(None)) && choice.keys(None, &[], "").is_empty());
    }
}
