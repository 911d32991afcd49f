//! Alternating rounds, and what is left of them: medians, ratios and their spread.

use std::time::Duration;

use crate::Outcome;

/// What one round of one contestant brought.
#[derive(Clone, Copy, Default)]
pub(crate) struct Round {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    /// The longest that a request took, where that was measured.
    pub(crate) longest: Duration,
    /// How many took 0.9 s or more, where that was measured.
    pub(crate) slow: u64,
    /// The CPU time of the server; [`race`] fills it in.
    pub(crate) cpu: Duration,
}

/// Somebody who takes part.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    /// Puts load on the server for a while.
    pub(crate) load: Box<dyn FnMut() -> Outcome<Round> + 'a>,
    /// The CPU time that the server has used since its start.
    pub(crate) cpu: Box<dyn Fn() -> Outcome<Duration> + 'a>,
}

/// Runs races with servers that `start` starts anew each time, and joins them. How fast an Apache
/// is depends on its luck at the start, too: which CPUs its processes began on.
pub(crate) fn race_anew(
    times: usize,
    mut start: impl FnMut() -> Outcome<Vec<Series>>,
) -> Outcome<Vec<Series>> {
    let mut all = start()?;
    for _ in 1..times {
        for (series, more) in all.iter_mut().zip(start()?) {
            series.extend(more);
        }
    }
    Ok(all)
}

/// All rounds of one contestant.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// The one that does not count: the server has just started.
    pub(crate) first: Round,
    rounds: Vec<Round>,
    cpu: Duration,
}

/// Runs `rounds` rounds, everybody once in each (A B C A B C …), after one that does not count.
///
/// CPU time is taken in each round, and once over all rounds: some of it is known in steps of 10 ms only.
pub(crate) fn race(contestants: &mut [Contestant<'_>], rounds: usize) -> Outcome<Vec<Series>> {
    let mut all = Vec::new();
    for contestant in contestants.iter_mut() {
        let first = (contestant.load)()?;
        all.push((Vec::with_capacity(rounds), (contestant.cpu)()?, first));
    }
    for _ in 0..rounds {
        for (contestant, (series, ..)) in contestants.iter_mut().zip(&mut all) {
            let before = (contestant.cpu)()?;
            let round = (contestant.load)()?;
            let cpu = (contestant.cpu)()?.saturating_sub(before);
            series.push(Round { cpu, ..round });
        }
    }
    contestants
        .iter()
        .zip(all)
        .map(|(contestant, (rounds, before, first))| {
            Ok(Series {
                name: contestant.name,
                first,
                rounds,
                cpu: (contestant.cpu)()?.saturating_sub(before),
            })
        })
        .collect()
}

impl Series {
    /// Adds the rounds of another race, with servers that were started anew.
    pub(crate) fn extend(&mut self, other: Self) {
        self.first.slow += other.first.slow;
        self.first.longest = self.first.longest.max(other.first.longest);
        self.rounds.extend(other.rounds);
        self.cpu += other.cpu;
    }

    fn rates(&self) -> Vec<f64> {
        let rate = |round: &Round| round.requests as f64 / round.elapsed.as_secs_f64();
        self.rounds.iter().map(rate).collect()
    }

    /// Requests per second: the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates())
    }

    /// How the requests per second compare with the other's of the same round.
    pub(crate) fn rate_ratio(&self, other: &Self) -> Ratio {
        let pairs = self.rates().into_iter().zip(other.rates());
        Ratio::of(pairs.map(|(ours, theirs)| ours / theirs).collect())
    }

    fn cpus(&self) -> Vec<f64> {
        let cpu = |round: &Round| round.cpu.as_secs_f64() * 1e6 / round.requests.max(1) as f64;
        self.rounds.iter().map(cpu).collect()
    }

    /// Microseconds of the server's CPU per request: the median of the rounds.
    pub(crate) fn cpu_of_rounds(&self) -> f64 {
        median(&self.cpus())
    }

    /// How the CPU per request compares with the other's of the same round.
    pub(crate) fn cpu_ratio(&self, other: &Self) -> Ratio {
        let pairs = self.cpus().into_iter().zip(other.cpus());
        Ratio::of(pairs.map(|(ours, theirs)| ours / theirs).collect())
    }

    /// Microseconds of the server's CPU per request, over all rounds at once.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests().max(1) as f64
    }

    pub(crate) fn requests(&self) -> u64 {
        self.rounds.iter().map(|round| round.requests).sum()
    }

    pub(crate) fn slow(&self) -> u64 {
        self.rounds.iter().map(|round| round.slow).sum()
    }

    pub(crate) fn longest(&self) -> Duration {
        let longest = self.rounds.iter().map(|round| round.longest).max();
        longest.unwrap_or_default()
    }
}

/// A median ratio with the quartiles around it.
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) quartiles: Option<(f64, f64)>,
}

impl Ratio {
    /// Of the ratios of single rounds.
    pub(crate) fn of(ratios: Vec<f64>) -> Self {
        Self {
            median: median(&ratios),
            quartiles: Some((quantile(&ratios, 0.25), quantile(&ratios, 0.75))),
        }
    }

    /// One that was taken over all rounds at once.
    pub(crate) fn whole(ratio: f64) -> Self {
        Self {
            median: ratio,
            quartiles: None,
        }
    }
}

/// The middle one, 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value at or below which this share of all lies; linear in between.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or_default();
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

/// Welch's t of two samples: beyond about ±3 their means differ by more than chance.
pub(crate) fn welch(a: &[f64], b: &[f64]) -> f64 {
    let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
    let error = |sample: &[f64]| {
        let middle = mean(sample);
        let squares: f64 = sample.iter().map(|value| (value - middle).powi(2)).sum();
        squares / (sample.len() - 1) as f64 / sample.len() as f64
    };
    (mean(a) - mean(b)) / (error(a) + error(b)).sqrt()
}
