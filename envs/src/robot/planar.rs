//! Jointed bodies in a plane over ground of segments, by the physics engine Rapier with its enhanced determinism.
//!
//! A step builds Rapier's world from positions and velocities and keeps nothing else of it: no impulses that the solver
//! starts from, no order of pairs. So a state is a few plain numbers, a saved one goes on to the bit, and a state of
//! another program can be checked. Joints are in reduced coordinates (a place and an angle of the first body, then an
//! angle a hinge): they cannot come apart, and light legs carry a heavy body without such impulses. Units: m, s, kg, rad.

use agon_core::env::{ensure, within};
use rapier2d::prelude::{
    CoefficientCombineRule, Collider, ColliderBuilder, Group, InteractionGroups, InteractionTestMode, PhysicsWorld,
    RevoluteJointBuilder, RigidBodyBuilder, RigidBodyHandle, Rotation, SharedShape, Vector,
};
use serde::{Deserialize, Serialize};

/// Seconds of a step.
pub const DT: f32 = 1.0 / 50.0;
/// Box2D's limits of what a body does in a step: 2 m, a quarter turn.
const MOST_SPEED: f32 = 2.0 / DT;
const MOST_TURNING: f32 = std::f32::consts::FRAC_PI_2 / DT;
/// Further no body goes, m; nor does it turn more, rad.
const MOST: f32 = 1e4;
/// A joint that is further apart than this, m, is broken: no episode leads there.
const TORN: f32 = 0.01;
/// Nearer than this, m, bodies touch: twice Box2D's `b2_polygonRadius`.
const TOUCH: f32 = 0.01;
/// Box2D's tolerances of a body at rest, and the steps of its half second after which it sleeps.
const STILL: [f32; 2] = [0.01, 2.0 / 180.0 * std::f32::consts::PI];
pub const ASLEEP: u32 = 25;

/// Substeps of Rapier's solver.
const SUBSTEPS: usize = 8;
/// How soon a motor is as fast as it wants, 1/s: at once, within its torque.
const STIFF: f32 = 1e6;

/// Where a body is and how it moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Its origin.
    pub at: [f32; 2],
    /// Its angle, counterclockwise; it counts turns.
    pub angle: f32,
    /// The velocity of its centre of mass.
    pub velocity: [f32; 2],
    /// Its angular velocity.
    pub turning: f32,
}

/// What a body is.
#[derive(Clone)]
pub struct Part {
    shape: SharedShape,
    /// Its corners about its origin.
    pub corners: Vec<[f32; 2]>,
    /// kg/m².
    density: f32,
    /// Of it on the ground.
    friction: f32,
}

impl Part {
    /// A convex polygon by its corners, counterclockwise. None if they enclose nothing.
    pub fn new(corners: Vec<[f32; 2]>, density: f32, friction: f32) -> Option<Self> {
        let points: Vec<Vector> = corners.iter().map(|c| Vector::from(*c)).collect();
        Some(Self { shape: SharedShape::convex_hull(&points)?, corners, density, friction })
    }

    /// Its centre of mass.
    pub fn centre(&self) -> [f32; 2] {
        self.shape.mass_properties(self.density).local_com.to_array()
    }

    /// Its sides in the world.
    pub fn outline(&self, body: &Body) -> impl Iterator<Item = [[f32; 2]; 2]> {
        let body = *body;
        let next = self.corners.iter().cycle().skip(1);
        std::iter::zip(&self.corners, next).map(move |(a, b)| [place(&body, *a), place(&body, *b)])
    }

    /// Its mass, kg.
    pub fn mass(&self) -> f32 {
        self.shape.mass_properties(self.density).mass()
    }
}

/// A joint between two bodies about a point, with a motor.
#[derive(Clone)]
pub struct Hinge {
    /// The bodies.
    pub bodies: [usize; 2],
    /// The point, in the coordinates of each.
    pub anchors: [[f32; 2]; 2],
    /// Of the second's angle less the first's.
    pub limits: [f32; 2],
}

/// What a motor wants of the second body's angular velocity less the first's, and its greatest torque, N·m.
#[derive(Clone, Copy, Debug)]
pub struct Motor {
    pub speed: f32,
    pub torque: f32,
}

/// What pushes the first body: an impulse, N·s, at a point of the world, and an angular impulse, N·m·s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Push {
    pub impulse: [f32; 2],
    pub at: [f32; 2],
    pub twist: f32,
}

/// Bodies and their joints. The bodies do not touch each other, only the ground.
#[derive(Clone)]
pub struct Machine {
    pub parts: Vec<Part>,
    pub hinges: Vec<Hinge>,
    /// m/s², upwards.
    pub gravity: f32,
}

impl Machine {
    /// One step: moves `bodies`, writes which of them touch the ground. False, and nothing moved, if the simulation
    /// failed. `motors`: one a hinge; `ground`: segments near the bodies.
    pub fn step(
        &self,
        bodies: &mut [Body],
        touching: &mut [bool],
        motors: &[Motor],
        pushes: &[Push],
        ground: impl Iterator<Item = [[f32; 2]; 2]>,
    ) -> bool {
        let mut world = PhysicsWorld { gravity: Vector::new(0.0, self.gravity), ..PhysicsWorld::default() };
        world.integration_parameters.dt = DT;
        world.integration_parameters.num_solver_iterations = SUBSTEPS;
        let group = |own, other| InteractionGroups::new(own, other, InteractionTestMode::And);
        let handles: Vec<RigidBodyHandle> = std::iter::zip(&self.parts, &*bodies)
            .map(|(part, body)| {
                let rigid = RigidBodyBuilder::dynamic()
                    .translation(Vector::from(body.at))
                    .rotation(body.angle)
                    .linvel(Vector::from(body.velocity))
                    .angvel(body.turning)
                    .can_sleep(false)
                    .soft_ccd_prediction(MOST_SPEED * DT);
                let collider = ColliderBuilder::new(part.shape.clone())
                    .density(part.density)
                    .friction(part.friction)
                    .friction_combine_rule(CoefficientCombineRule::Max)
                    .collision_groups(group(Group::GROUP_1, Group::GROUP_2));
                world.insert(rigid, collider).0
            })
            .collect();
        for [a, b] in ground {
            let segment = ColliderBuilder::segment(Vector::from(a), Vector::from(b))
                .friction(0.0)
                .collision_groups(group(Group::GROUP_2, Group::GROUP_1));
            world.insert_collider(segment, None);
        }
        for (hinge, motor) in self.hinges.iter().zip(motors) {
            // Rapier's limits act once they are passed: a motor that runs into one each step would never come to rest.
            let angle = bodies[hinge.bodies[1]].angle - bodies[hinge.bodies[0]].angle;
            let [down, up] = hinge.limits.map(|limit| (limit - angle) / DT);
            let speed = motor.speed.clamp(down.min(0.0), up.max(0.0));
            let joint = RevoluteJointBuilder::new()
                .local_anchor1(Vector::from(hinge.anchors[0]))
                .local_anchor2(Vector::from(hinge.anchors[1]))
                .limits(hinge.limits)
                .motor_velocity(speed, STIFF)
                .motor_max_force(motor.torque);
            world.insert_multibody_joint(handles[hinge.bodies[0]], handles[hinge.bodies[1]], joint);
        }
        for push in pushes {
            let first = &mut world.bodies[handles[0]];
            first.apply_impulse_at_point(Vector::from(push.impulse), Vector::from(push.at), true);
            first.apply_torque_impulse(push.twist, true);
        }
        let Some(link) = world.multibody_joints.rigid_body_link(handles[0]).copied() else { return false };
        let Some(tree) = world.multibody_joints.get_multibody_mut(link.multibody) else { return false };
        let root = &world.bodies[handles[0]];
        tree.forward_kinematics(&world.bodies, true);
        let mut coordinates = vec![0.0, 0.0, bodies[0].angle];
        coordinates.extend(self.hinges.iter().map(|h| bodies[h.bodies[1]].angle - bodies[h.bodies[0]].angle));
        tree.apply_displacements(&coordinates);
        // In a new world Rapier's first substep knows no forces yet: gravity, which moves all alike, is given to it here.
        let first = self.gravity * DT / SUBSTEPS as f32;
        let mut velocities = vec![root.linvel().x, root.linvel().y + first, root.angvel()];
        velocities.extend(self.hinges.iter().map(|h| bodies[h.bodies[1]].turning - bodies[h.bodies[0]].turning));
        velocities[3..].iter_mut().for_each(|v| *v = v.clamp(-MOST_TURNING, MOST_TURNING));
        tree.generalized_velocity_mut().copy_from_slice(&velocities);
        tree.damping_mut().fill(0.0);
        world.step();
        let bounded = |x: f32, most: f32| x.clamp(-most, most);
        let moved = |(body, handle): (&Body, &RigidBodyHandle)| {
            let now = &world.bodies[*handle];
            let turned = (Rotation::from_angle(body.angle).inverse() * *now.rotation()).angle();
            Body {
                at: now.translation().to_array().map(|x| bounded(x, MOST)),
                angle: bounded(body.angle + turned, MOST),
                velocity: now.linvel().to_array().map(|v| bounded(v, MOST_SPEED)),
                turning: bounded(now.angvel(), MOST_TURNING),
            }
        };
        let finite = |b: &Body| b.at.iter().chain(&b.velocity).chain([&b.angle, &b.turning]).all(|x| x.is_finite());
        if !std::iter::zip(&*bodies, &handles).map(moved).all(|b| finite(&b)) {
            return false;
        }
        for (body, handle) in bodies.iter_mut().zip(&handles) {
            *body = moved((body, handle));
        }
        for hinge in &self.hinges {
            let [first, second] = hinge.bodies;
            bodies[second].at = joined(&bodies[first], bodies[second].angle, hinge);
        }
        touching.fill(false);
        for pair in world.narrow_phase.contact_pairs() {
            let near = pair.manifolds().iter().flat_map(|m| &m.points).any(|p| p.dist <= TOUCH);
            for collider in [pair.collider1, pair.collider2] {
                let parent = world.colliders.get(collider).and_then(Collider::parent);
                if let Some(i) = handles.iter().position(|h| near && Some(*h) == parent) {
                    touching[i] = true;
                }
            }
        }
        true
    }

    /// Whether bodies can be so: bounded, and hinges whole.
    pub fn check(&self, bodies: &[Body]) -> Result<(), String> {
        for body in bodies {
            let bounds = |what, x: f32, most: f32| within(what, x.into(), (-most).into(), most.into());
            body.at.iter().try_for_each(|x| bounds("a coordinate", *x, MOST))?;
            body.velocity.iter().try_for_each(|v| bounds("a velocity", *v, MOST_SPEED))?;
            bounds("an angle", body.angle, MOST)?;
            bounds("an angular velocity", body.turning, MOST_TURNING)?;
        }
        for hinge in &self.hinges {
            let [a, b] = [0, 1].map(|k| place(&bodies[hinge.bodies[k]], hinge.anchors[k]));
            ensure((a[0] - b[0]).hypot(a[1] - b[1]) <= TORN, "a joint is torn apart")?;
        }
        Ok(())
    }
}

/// Where a point of a body is in the world.
pub fn place(body: &Body, [x, y]: [f32; 2]) -> [f32; 2] {
    let turn = Rotation::from_angle(body.angle);
    [body.at[0] + turn.re * x - turn.im * y, body.at[1] + turn.im * x + turn.re * y]
}

/// Where a hinge puts the origin of its second body, which is at an angle.
pub fn joined(first: &Body, angle: f32, hinge: &Hinge) -> [f32; 2] {
    let joint = place(first, hinge.anchors[0]);
    let off = place(&Body { angle, ..Body::default() }, hinge.anchors[1]);
    [joint[0] - off[0], joint[1] - off[1]]
}

/// The steps for which no body has moved, after one more, from `before` to `after`.
pub fn rest(before: &[Body], after: &[Body], steps: u32) -> u32 {
    let still = |(a, b): (&Body, &Body)| {
        let moved = (b.at[0] - a.at[0]).hypot(b.at[1] - a.at[1]);
        moved <= STILL[0] * DT && (b.angle - a.angle).abs() <= STILL[1] * DT
    };
    if std::iter::zip(before, after).all(still) { (steps + 1).min(ASLEEP) } else { 0 }
}
