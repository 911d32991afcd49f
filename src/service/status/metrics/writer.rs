//! Writes metrics of each type.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::service::status::report::Times;

/// The labels of one value.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes one metric after the other.
pub(super) struct Writer<'a>(pub(super) DescriptorEncoder<'a>);

impl Writer<'_> {
    /// Writes a metric with one value for each set of labels.
    pub(super) fn write<'l, V>(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<&Unit>,
        kind: MetricType,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
        value: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, sample) in samples {
            match labels.is_empty() {
                true => value(&mut metric, sample)?,
                false => value(&mut metric.encode_family(&labels)?, sample)?,
            }
        }
        Ok(())
    }

    pub(super) fn counters<'l>(
        &mut self,
        named: (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        self.write(
            named,
            None,
            MetricType::Counter,
            samples,
            |metric, value| metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
        )
    }

    pub(super) fn gauges<'l>(
        &mut self,
        named: (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        self.write(named, None, MetricType::Gauge, samples, |metric, value| {
            metric.encode_gauge(&value)
        })
    }

    /// Times in seconds since 1970.
    pub(super) fn times<'l>(
        &mut self,
        named: (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let seconds = Some(&Unit::Seconds);
        self.write(
            named,
            seconds,
            MetricType::Gauge,
            samples,
            |metric, value| metric.encode_gauge(&value),
        )
    }

    pub(super) fn ratios<'l>(
        &mut self,
        named: (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'l>, u8)>,
    ) -> fmt::Result {
        let ratios = Some(&Unit::Other("ratio".to_owned()));
        self.write(
            named,
            ratios,
            MetricType::Gauge,
            samples,
            |metric, percent| metric.encode_gauge(&(f64::from(percent) / 100.0)),
        )
    }

    pub(super) fn histograms<'l>(
        &mut self,
        named: (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'l>, &'l Times)>,
    ) -> fmt::Result {
        let seconds = Some(&Unit::Seconds);
        self.write(
            named,
            seconds,
            MetricType::Histogram,
            samples,
            |metric, times| {
                let buckets = times.buckets.iter();
                let buckets: Vec<_> = buckets
                    .map(|it| (it.most.unwrap_or(f64::INFINITY), it.count))
                    .collect();
                metric.encode_histogram::<NoLabelSet>(times.sum, times.count, &buckets, None)
            },
        )
    }
}

/// A metric without labels.
pub(super) fn single<T>(value: T) -> [(Labels<'static>, T); 1] {
    [(Vec::new(), value)]
}
