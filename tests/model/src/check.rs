//! A design with its misfortunes as a model that can be searched: its actions and what must hold.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::action::Action;
use crate::design::{Bounds, Rules};
use crate::state::{Entry, Message, State, Word};
use crate::step::step;

/// A design under certain misfortunes.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    /// What the design keeps to.
    pub rules: Rules,
    /// The misfortunes.
    pub bounds: Bounds,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The properties that were found not to hold, each with the shortest way there.
    pub broken: Vec<(&'static str, Vec<Action>)>,
    /// Whether any work can be done at all: what never starts anything is safe, too.
    pub works: bool,
    /// How many different states were seen.
    pub states: usize,
    /// How many actions the longest of the shortest ways has.
    pub depth: usize,
}

/// Never two changes at once.
pub const ONE_CHANGE: &str = "I1 never two changes at once";
/// No attempt is started twice.
pub const NO_REPEAT: &str = "I2 no attempt is started twice";
/// The first last word stays.
pub const FINAL_WORD: &str = "I7 the first last word is final";
/// An attempt that is over for the broker runs nowhere.
pub const OVER_IS_OVER: &str = "I7 what is over runs nowhere";
/// The words of older generations and fences change nothing.
pub const FENCED: &str = "I16 an older fence's words change nothing";
/// From everywhere there is a way to rest.
pub const CAN_END: &str = "I6 every begun job can end";
const ALWAYS: [&str; 5] = [ONE_CHANGE, NO_REPEAT, FINAL_WORD, OVER_IS_OVER, FENCED];
const WORKS: &str = "work is done";

impl Model for Bounded {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.broker(state, actions);
        self.misfortunes(state, actions);
        for (host, this) in state.hosts.iter().enumerate().filter(|(_, this)| this.alive) {
            if this.up {
                self.runner(host, state, actions);
            } else {
                actions.push(Action::Restart { host });
            }
            let orphans = this.children.iter();
            actions.extend(orphans.map(|fence| Action::OrphanEnds { host, fence: *fence }));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        step(&self.rules, state, action).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_CHANGE, |_, state: &State| state.changes() <= 1),
            Property::always(NO_REPEAT, |_, state: &State| state.seen.twice.is_empty()),
            Property::always(FINAL_WORD, |_, state: &State| !state.seen.word_replaced),
            Property::always(FENCED, |_, state: &State| !state.seen.stale_word_counted),
            Property::always(OVER_IS_OVER, over_is_over),
            Property::sometimes(WORKS, |_, state: &State| {
                state.broker.words.values().any(|word| *word == Word::Done)
            }),
        ]
    }
}

/// Not promised where the broker's memory or the runner's identity was copied.
fn over_is_over(model: &Bounded, state: &State) -> bool {
    let in_hand = state.broker.slot.map(|slot| slot.fence);
    let promised = !model.bounds.copy && !model.bounds.restore;
    let known = || state.hosts.iter().flat_map(|h| &h.children).all(|fence| Some(*fence) == in_hand);
    !promised || known()
}

impl Bounded {
    fn broker(&self, state: &State, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        if state.broker.fence < u32::from(bounds.attempts) {
            actions.push(Action::Offer);
        }
        if state.spent.cancels < bounds.cancels {
            actions.push(Action::Cancel);
        }
        actions.extend([Action::LeaseExpires, Action::DeclareLost, Action::BreakLock]);
        for message in &state.net {
            if let Message::Last { generation, fence, word } = *message {
                actions.push(Action::End { generation, fence, word });
            }
        }
    }

    fn misfortunes(&self, state: &State, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        let hosts = state.hosts.len();
        if bounds.replacement && hosts < 2 + usize::from(state.restored) {
            actions.push(Action::Replace);
        }
        if bounds.copy && hosts == 1 {
            actions.push(Action::Copy { host: 0 });
        }
        if bounds.restore && state.backup.is_none() && !state.restored {
            actions.push(Action::Backup);
        }
        if state.backup.is_some() {
            actions.push(Action::Restore);
        }
        for (host, this) in state.hosts.iter().enumerate().filter(|(_, this)| this.alive) {
            if this.up && state.spent.crashes < bounds.crashes {
                actions.push(Action::Crash { host });
            }
            // One host that may speak stays, so that there is somebody to go on.
            let mut others = state.hosts.iter().enumerate().filter(|(other, _)| *other != host);
            if others.any(|(_, other)| other.alive && other.generation == state.broker.generation) {
                actions.push(Action::Terminate { host });
            }
        }
    }

    fn runner(&self, host: usize, state: &State, actions: &mut Vec<Action>) {
        let this = &state.hosts[host];
        for message in &state.net {
            if let Message::Envelope { generation, fence } = *message
                && generation == this.generation
            {
                actions.extend([Action::Accept { host, fence }, Action::Refuse { host, fence }]);
            }
        }
        for (fence, entry) in &this.journal {
            let fence = *fence;
            match entry {
                Entry::Accepted => actions.extend([
                    Action::Look { host },
                    Action::Begin { host, fence },
                    Action::GiveUp { host, fence },
                ]),
                Entry::Begun => actions.extend([
                    Action::Ask { host, fence },
                    Action::GiveUp { host, fence },
                    Action::Spawn { host, fence },
                ]),
                Entry::Running => actions.extend([
                    Action::Finish { host, fence, word: Word::Done },
                    Action::Finish { host, fence, word: Word::Failed },
                    Action::Stop { host, fence },
                ]),
                Entry::Ended(_) => {
                    actions.extend([Action::Say { host, fence }, Action::Settle { host, fence }]);
                }
            }
        }
    }

    /// Searches for the shortest way to break anything that must always hold, or the whole space.
    pub fn search(self) -> Found {
        self.search_until(HasDiscoveries::AnyFailures)
    }

    /// Searches for the shortest way to break this one, whatever else breaks before.
    pub fn search_for(self, property: &'static str) -> Found {
        let mut found = self.search_until(HasDiscoveries::AnyOf(BTreeSet::from([property])));
        found.broken.retain(|(name, _)| *name == property);
        found
    }

    fn search_until(self, enough: HasDiscoveries) -> Found {
        let checker = self.checker().finish_when(enough).spawn_bfs().join();
        let (states, depth) = (checker.unique_state_count(), checker.max_depth());
        let shortest = |name| checker.discovery(name).map(|path| (name, path.into_actions()));
        let mut broken: Vec<_> = ALWAYS.into_iter().filter_map(shortest).collect();
        broken.sort_by_key(|(_, actions)| actions.len());
        Found { broken, works: checker.discovery(WORKS).is_some(), states, depth }
    }

    /// Looks for a state from which no way leads to rest; answers the shortest way there.
    ///
    /// stateright's `eventually` does not see cycles, and here a runner may say the same for
    /// ever: so the graph is built forwards and searched backwards from all states at rest.
    pub fn search_dead_end(self) -> Found {
        let graph = Graph::build(&self);
        let ends = graph.can_rest();
        let stuck = ends.iter().position(|can_end| !can_end);
        let broken = stuck.map(|index| (CAN_END, graph.way_to(index))).into_iter().collect();
        let depth = graph.way_to(ends.len() - 1).len();
        Found { broken, works: true, states: ends.len(), depth }
    }
}

/// The steps between all states, which are numbered in the order of a breadth-first search. Of
/// a state only a digest of 64 bits is kept, as stateright does it.
#[derive(Default)]
struct Graph {
    numbers: HashMap<u64, u32>,
    at_rest: Vec<bool>,
    from: Vec<Vec<u32>>,
    first: Vec<Option<(u32, Action)>>,
}

impl Graph {
    fn build(model: &Bounded) -> Self {
        let mut graph = Self::default();
        let mut waiting = VecDeque::new();
        for state in model.init_states() {
            let (number, _) = graph.number(&state, None);
            waiting.push_back((number, state));
        }
        while let Some((number, state)) = waiting.pop_front() {
            for (action, next) in model.next_steps(&state) {
                let (there, is_new) = graph.number(&next, Some((number, action)));
                graph.from[there as usize].push(number);
                if is_new {
                    waiting.push_back((there, next));
                }
            }
        }
        graph
    }

    /// The state's number, and whether it is a new one.
    fn number(&mut self, state: &State, first: Option<(u32, Action)>) -> (u32, bool) {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let number = u32::try_from(self.at_rest.len()).expect("a bounded model has fewer states");
        let there = *self.numbers.entry(hasher.finish()).or_insert(number);
        if there == number {
            self.at_rest.push(state.is_at_rest());
            self.from.push(vec![]);
            self.first.push(first);
        }
        (there, there == number)
    }

    /// Of each state, whether a way leads from it to rest.
    fn can_rest(&self) -> Vec<bool> {
        let mut can = self.at_rest.clone();
        let mut waiting: Vec<usize> = (0..can.len()).filter(|index| can[*index]).collect();
        while let Some(index) = waiting.pop() {
            for before in &self.from[index] {
                if !std::mem::replace(&mut can[*before as usize], true) {
                    waiting.push(*before as usize);
                }
            }
        }
        can
    }

    /// The shortest way to a state.
    fn way_to(&self, index: usize) -> Vec<Action> {
        let mut way = vec![];
        let mut here = index;
        while let Some((before, action)) = self.first[here] {
            way.push(action);
            here = before as usize;
        }
        way.reverse();
        way
    }
}
