//! The two texts that readers of metrics understand, and who gets which.

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' older text, 0.0.4, which everybody reads.
    Text,
}

/// Whether connected peers are in it one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByPeer {
    /// They are not.
    Without,
    /// Some are, at most [`MAX_METRIC_PEERS`](crate::limits::MAX_METRIC_PEERS), by the beginnings
    /// of their ids; those that are connected longest.
    With,
}

impl MetricsFormat {
    /// What a reader wants who sends this `Accept` header, or none.
    ///
    /// ```
    /// use positron_networking::metrics::MetricsFormat;
    ///
    /// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
    /// assert_eq!(MetricsFormat::accepted(Some(prometheus)), MetricsFormat::OpenMetrics);
    /// assert_eq!(MetricsFormat::accepted(Some("text/html, */*")), MetricsFormat::Text);
    /// assert_eq!(MetricsFormat::accepted(None), MetricsFormat::Text);
    /// ```
    pub fn accepted(accept: Option<&str>) -> Self {
        let ranges = || accept.unwrap_or_default().split(',').filter_map(MediaRange::read);
        let weight_of = |media: &str| {
            let of = ranges().filter(|range| range.media.eq_ignore_ascii_case(media));
            of.map(|range| range.weight).fold(0.0, f32::max)
        };
        let open_metrics = weight_of("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= weight_of("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The `Content-Type` header of the text. Prometheus refuses a text whose header is another
    /// one's.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// One entry of an `Accept` header (RFC 9110, 12.5.1).
struct MediaRange<'a> {
    media: &'a str,
    weight: f32,
}

impl<'a> MediaRange<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next()?;
        let (mut weight, mut version) = (1.0, None);
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("q" | "Q", value)) => weight = value.trim().parse().unwrap_or(0.0),
                Some(("version", value)) => version = Some(value.trim()),
                _ => {}
            }
        }
        // Later versions of OpenMetrics are other texts.
        let known = version.is_none_or(|version| matches!(version, "0.0.1" | "1.0.0" | "0.0.4"));
        known.then_some(Self { media, weight })
    }
}

/// What is OpenMetrics in Prometheus' older text: `_total` belongs to the names of counters, and
/// there are no units, no kind `info` and no end.
pub(super) fn as_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(of) = line.strip_prefix("# HELP ") {
            help = of.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|of| of.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            if let Some((_, help)) = help.take() {
                text += &format!("# HELP {name}{suffix} {help}\n");
            }
            text += &format!("# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_gets_what_it_prefers_and_an_unknown_one_gets_what_everybody_reads() {
        let open_metrics = [
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;\
             version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "text/plain;q=0.2, APPLICATION/OPENMETRICS-TEXT;Q=0.3",
        ];
        for accept in open_metrics {
            assert_eq!(
                MetricsFormat::accepted(Some(accept)),
                MetricsFormat::OpenMetrics,
                "{accept}"
            );
        }
        let text = [
            "",
            "*/*",
            "text/plain",
            "text/plain, application/openmetrics-text;q=0.9",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;version=2.0.0",
            ";;;,,,=;q=q=q",
        ];
        for accept in text {
            assert_eq!(MetricsFormat::accepted(Some(accept)), MetricsFormat::Text, "{accept}");
        }
    }

    #[test]
    fn the_older_text_has_its_names_in_full_and_nothing_that_it_does_not_know() {
        let open_metrics = "# HELP dials Dials.\n# TYPE dials counter\ndials_total 1\n\
                            # HELP built By whom.\n# TYPE built info\nbuilt_info{by=\"us\"} 1\n\
                            # HELP kept_bytes Kept.\n# TYPE kept_bytes gauge\n\
                            # UNIT kept_bytes bytes\nkept_bytes 2\n# EOF\n";
        let text = "# HELP dials_total Dials.\n# TYPE dials_total counter\ndials_total 1\n\
                    # HELP built_info By whom.\n# TYPE built_info gauge\nbuilt_info{by=\"us\"} 1\n\
                    # HELP kept_bytes Kept.\n# TYPE kept_bytes gauge\nkept_bytes 2\n";
        assert_eq!(as_text(open_metrics), text);
    }
}
