//! What becomes of an action: the rules of a design, one function for each.

use std::collections::BTreeSet;

use crate::action::Action;
use crate::design::{Lock, Rules, Silence};
use crate::state::{AccountLock, Entry, Fence, Generation, Host, Message, Phase, Slot, State, Word};

/// The state after an action; `None` when it cannot happen.
pub fn step(rules: &Rules, state: &State, action: Action) -> Option<State> {
    let mut next = state.clone();
    next.act(rules, action).then_some(next)
}

impl State {
    /// Whether the action could happen; it has then.
    fn act(&mut self, rules: &Rules, action: Action) -> bool {
        match action {
            Action::Offer => self.offer(),
            Action::Cancel => self.cancel(),
            Action::LeaseExpires => self.lease_expires(rules),
            Action::End { generation, fence, word } => self.end(rules, generation, fence, word),
            Action::DeclareLost => self.declare_lost(rules),
            Action::Backup => {
                self.backup = Some(self.broker.clone());
                true
            }
            Action::Restore => {
                self.restored = true;
                let restored = self.backup.take().map(|backup| self.broker = backup).is_some();
                self.hand_out();
                restored
            }
            Action::Accept { host, fence } => self.accept(rules, host, fence),
            Action::Refuse { host, fence } => self.refuse(rules, host, fence),
            Action::Look { host } => self.look(rules, host),
            Action::Begin { host, fence } => self.begin(rules, host, fence),
            Action::Ask { host, fence } => self.ask(host, fence),
            Action::GiveUp { host, fence } => self.give_up(host, fence),
            Action::Spawn { host, fence } => self.spawn(rules, host, fence),
            Action::Finish { host, fence, word } => self.finish(host, fence, word),
            Action::Stop { host, fence } => self.stop(rules, host, fence),
            Action::Say { host, fence } => self.say(host, fence),
            Action::Settle { host, fence } => self.settle(rules, host, fence),
            Action::OrphanEnds { host, fence } => self.orphan_ends(host, fence),
            Action::Crash { host } => self.crash(host),
            Action::Restart { host } => self.restart(rules, host),
            Action::Replace => {
                self.replace();
                true
            }
            Action::Copy { host } => self.copy(host),
            Action::Terminate { host } => self.terminate(host),
            Action::BreakLock => self.break_lock(rules),
        }
    }

    fn offer(&mut self) -> bool {
        if self.broker.slot.is_some() {
            return false;
        }
        self.broker.fence += 1;
        self.broker.slot = Some(Slot { fence: self.broker.fence, phase: Phase::Offered });
        self.hand_out();
        true
    }

    /// An envelope for whoever speaks now, if there is one to hand out.
    fn hand_out(&mut self) {
        let generation = self.broker.generation;
        if let Some(Slot { fence, phase: Phase::Offered }) = self.broker.slot {
            self.net.insert(Message::Envelope { generation, fence });
        }
    }

    /// The first last word of an attempt; the slot is free again.
    fn over(&mut self, fence: Fence, word: Word) {
        self.broker.slot = None;
        self.broker.words.insert(fence, word);
    }

    fn cancel(&mut self) -> bool {
        self.spent.cancels += 1;
        let Some(slot) = &mut self.broker.slot else { return false };
        match slot.phase {
            Phase::Offered => {
                let fence = slot.fence;
                self.over(fence, Word::Failed);
                true
            }
            Phase::Running => {
                slot.phase = Phase::Stopping;
                true
            }
            Phase::Stopping | Phase::Unconfirmed => false,
        }
    }

    fn lease_expires(&mut self, rules: &Rules) -> bool {
        let is_running = self.broker.slot.is_some_and(|slot| slot.phase == Phase::Running);
        if rules.silence == Silence::Waits || !is_running {
            return false;
        }
        self.broker.slot = None;
        true
    }

    fn end(&mut self, rules: &Rules, generation: Generation, fence: Fence, word: Word) -> bool {
        if !self.net.contains(&Message::Last { generation, fence, word }) {
            return false;
        }
        let speaks = generation == self.broker.generation;
        let current = self.broker.slot.filter(|slot| slot.phase != Phase::Unconfirmed);
        if let Some(slot) = current.filter(|slot| !rules.fenced_words || (speaks && slot.fence == fence)) {
            self.seen.stale_word_counted |= !speaks || slot.fence != fence;
            self.over(slot.fence, word);
        } else if !rules.first_word_final
            && let Some(first) = self.broker.words.get_mut(&fence)
            && *first != word
        {
            *first = word;
            self.seen.word_replaced = true;
        }
        true
    }

    fn declare_lost(&mut self, rules: &Rules) -> bool {
        let unconfirmed = self.broker.slot.filter(|slot| slot.phase == Phase::Unconfirmed);
        let Some(slot) = unconfirmed else { return false };
        let generation = self.broker.generation;
        let proven = self.hosts.iter().all(|host| host.generation == generation || !host.alive);
        if !rules.takeover || (rules.proof_for_loss && !proven) {
            return false;
        }
        self.over(slot.fence, Word::Failed);
        true
    }

    fn working(&mut self, host: usize) -> Option<&mut Host> {
        self.hosts.get_mut(host).filter(|host| host.works())
    }

    fn entry(&self, host: usize, fence: Fence) -> Option<Entry> {
        self.hosts.get(host).filter(|host| host.works())?.journal.get(&fence).copied()
    }

    fn accept(&mut self, rules: &Rules, host: usize, fence: Fence) -> bool {
        let Some(this) = self.hosts.get(host).filter(|host| host.works()) else { return false };
        let generation = this.generation;
        if !self.net.contains(&Message::Envelope { generation, fence }) {
            return false;
        }
        let (known, seen) = (this.journal.get(&fence), fence <= this.high);
        if known.is_some() || this.refused.contains(&fence) {
            return false;
        }
        if rules.high_water && seen {
            self.net.insert(Message::Last { generation, fence, word: Word::Failed });
            return true;
        }
        let this = &mut self.hosts[host];
        this.high = this.high.max(fence);
        this.journal.insert(fence, Entry::Accepted);
        true
    }

    fn refuse(&mut self, rules: &Rules, host: usize, fence: Fence) -> bool {
        let Some(this) = self.hosts.get_mut(host).filter(|host| host.works()) else { return false };
        let generation = this.generation;
        let is_open = this.journal.contains_key(&fence) || fence <= this.high;
        if is_open || !self.net.contains(&Message::Envelope { generation, fence }) {
            return false;
        }
        if rules.refusals_stay {
            this.refused.insert(fence);
        }
        self.net.insert(Message::Last { generation, fence, word: Word::Failed });
        true
    }

    fn look(&mut self, rules: &Rules, host: usize) -> bool {
        if rules.lock != Lock::AccountUnchecked {
            return false;
        }
        let account = self.account;
        let Some(this) = self.working(host) else { return false };
        if account.owner.is_some() || this.looked == Some(account.fence) {
            return false;
        }
        this.looked = Some(account.fence);
        true
    }

    fn begin(&mut self, rules: &Rules, host: usize, fence: Fence) -> bool {
        let account = self.account;
        let Some(this) = self.working(host) else { return false };
        let accepted = this.journal.get(&fence) == Some(&Entry::Accepted);
        if !accepted || (rules.lock != Lock::None && this.is_busy()) {
            return false;
        }
        let held = match rules.lock {
            Lock::None => 0,
            Lock::Host => this.lock,
            Lock::Account if account.owner.is_some() => return false,
            Lock::Account => account.fence,
            Lock::AccountUnchecked => match this.looked.take() {
                Some(fence) => fence,
                None => return false,
            },
        };
        if rules.strict_fence && fence <= held {
            return self.record_end(host, fence, Word::Failed);
        }
        this.lock = this.lock.max(fence);
        this.journal.insert(fence, Entry::Begun);
        if matches!(rules.lock, Lock::Account | Lock::AccountUnchecked) {
            self.account = AccountLock { fence, owner: Some(host) };
        }
        true
    }

    fn ask(&mut self, host: usize, fence: Fence) -> bool {
        if self.entry(host, fence) != Some(Entry::Begun) {
            return false;
        }
        let speaks = self.hosts[host].generation == self.broker.generation;
        let Some(slot) = self.broker.slot.as_mut().filter(|slot| speaks && slot.fence == fence) else {
            return false;
        };
        match slot.phase {
            Phase::Offered => slot.phase = Phase::Running,
            Phase::Running => {}
            Phase::Stopping | Phase::Unconfirmed => return false,
        }
        self.net.insert(Message::Answer { host, fence });
        true
    }

    fn give_up(&mut self, host: usize, fence: Fence) -> bool {
        let waits = matches!(self.entry(host, fence), Some(Entry::Accepted | Entry::Begun));
        waits && self.record_end(host, fence, Word::Failed)
    }

    fn spawn(&mut self, rules: &Rules, host: usize, fence: Fence) -> bool {
        let confirmed = self.net.contains(&Message::Answer { host, fence });
        if self.entry(host, fence) != Some(Entry::Begun) || (rules.confirm && !confirmed) {
            return false;
        }
        self.hosts[host].journal.insert(fence, Entry::Running);
        self.hosts[host].children.insert(fence);
        if !self.seen.started.insert(fence) {
            self.seen.twice.insert(fence);
        }
        true
    }

    /// Puts the end on record and frees the lock.
    fn record_end(&mut self, host: usize, fence: Fence, word: Word) -> bool {
        self.hosts[host].journal.insert(fence, Entry::Ended(word));
        if self.account == (AccountLock { fence, owner: Some(host) }) {
            self.account.owner = None;
        }
        true
    }

    fn finish(&mut self, host: usize, fence: Fence, word: Word) -> bool {
        let running = self.entry(host, fence) == Some(Entry::Running);
        running && self.hosts[host].children.remove(&fence) && self.record_end(host, fence, word)
    }

    /// Why an attempt must not go on, for the broker.
    fn must_stop(&self, rules: &Rules, generation: Generation, fence: Fence) -> bool {
        match self.broker.slot {
            Some(slot) if slot.fence == fence && generation == self.broker.generation => {
                matches!(slot.phase, Phase::Stopping | Phase::Unconfirmed)
            }
            Some(_) | None => rules.watchdog,
        }
    }

    fn stop(&mut self, rules: &Rules, host: usize, fence: Fence) -> bool {
        if self.entry(host, fence) != Some(Entry::Running) {
            return false;
        }
        if !self.must_stop(rules, self.hosts[host].generation, fence) {
            return false;
        }
        if rules.kill_first {
            self.hosts[host].children.remove(&fence);
        }
        self.record_end(host, fence, Word::Failed)
    }

    fn say(&mut self, host: usize, fence: Fence) -> bool {
        let Some(Entry::Ended(word)) = self.entry(host, fence) else { return false };
        let generation = self.hosts[host].generation;
        self.net.insert(Message::Last { generation, fence, word });
        true
    }

    fn settle(&mut self, rules: &Rules, host: usize, fence: Fence) -> bool {
        let Some(Entry::Ended(word)) = self.entry(host, fence) else { return false };
        let generation = self.hosts[host].generation;
        if !self.end(rules, generation, fence, word) {
            return false;
        }
        self.hosts[host].journal.remove(&fence);
        true
    }

    fn orphan_ends(&mut self, host: usize, fence: Fence) -> bool {
        let watched = self.entry(host, fence) == Some(Entry::Running);
        !watched && self.hosts.get_mut(host).is_some_and(|this| this.children.remove(&fence))
    }

    fn crash(&mut self, host: usize) -> bool {
        self.spent.crashes += 1;
        let Some(this) = self.working(host) else { return false };
        this.up = false;
        this.looked = None;
        true
    }

    fn restart(&mut self, rules: &Rules, host: usize) -> bool {
        let Some(this) = self.hosts.get_mut(host).filter(|this| this.alive && !this.up) else {
            return false;
        };
        this.up = true;
        if rules.reap {
            this.children = BTreeSet::new();
        }
        let open = |(fence, entry): (&Fence, &Entry)| (!matches!(entry, Entry::Ended(_))).then_some(*fence);
        let open: Vec<Fence> = this.journal.iter().filter_map(open).collect();
        for fence in open {
            self.record_end(host, fence, Word::Failed);
        }
        true
    }

    fn replace(&mut self) {
        self.broker.generation += 1;
        self.hosts.push(Host::new(self.broker.generation));
        if let Some(slot) = &mut self.broker.slot
            && matches!(slot.phase, Phase::Running | Phase::Stopping)
        {
            slot.phase = Phase::Unconfirmed;
        }
        self.hand_out();
    }

    fn copy(&mut self, host: usize) -> bool {
        let Some(this) = self.hosts.get(host).filter(|this| this.alive) else { return false };
        let copy = Host { up: false, looked: None, children: BTreeSet::new(), ..this.clone() };
        self.hosts.push(copy);
        true
    }

    fn terminate(&mut self, host: usize) -> bool {
        let Some(this) = self.hosts.get_mut(host).filter(|this| this.alive) else { return false };
        *this = Host { alive: false, up: false, ..Host::new(this.generation) };
        true
    }

    fn break_lock(&mut self, rules: &Rules) -> bool {
        let Some(owner) = self.account.owner else { return false };
        let proven = self.hosts.get(owner).is_none_or(|host| !host.alive);
        if !rules.takeover || (rules.proof_for_lock && !proven) {
            return false;
        }
        self.account.owner = None;
        true
    }
}
