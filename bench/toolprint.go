package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// toolReport is a second of a run or, when final, all of it. Counts are since the start; rates and quantiles are of the
// time that the report is about.
type toolReport struct {
	Command         string       `json:"command"`
	Final           bool         `json:"final"`
	Seconds         float64      `json:"seconds"` // since the start
	Clients         int          `json:"clients"` // asked for
	Connected       uint64       `json:"connected"`
	Failed          uint64       `json:"failed"`
	ConnectedPerSec float64      `json:"connected_per_s"`
	Pub             *pubReport   `json:"pub,omitempty"`
	Sub             *subReport   `json:"sub,omitempty"`
	Latency         *toolLatency `json:"latency_ms,omitempty"` // to CONNACK, to the acknowledgement, or end to end
	Error           string       `json:"error,omitempty"`
}

type pubReport struct {
	Sent        uint64  `json:"sent"`
	SentPerSec  float64 `json:"sent_per_s"`
	Acked       uint64  `json:"acknowledged"`
	AckedPerSec float64 `json:"acknowledged_per_s"`
	Refused     uint64  `json:"refused"`
	HeldBack    uint64  `json:"held_back"`
}

type subReport struct {
	Received       uint64  `json:"received"`
	ReceivedPerSec float64 `json:"received_per_s"`
	Unchecked      uint64  `json:"unchecked"`
	Lost           uint64  `json:"lost"`
	Duplicates     uint64  `json:"duplicates"`
	OrderBreaks    uint64  `json:"order_breaks"`
}

// toolLatency holds quantiles in milliseconds.
type toolLatency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func newToolLatency(h *histogram) *toolLatency {
	if h.total == 0 {
		return nil
	}
	ms := func(q float64) float64 { return float64(h.quantile(q)) / 1e6 }
	return &toolLatency{P50: ms(0.5), P90: ms(0.9), P99: ms(0.99), P999: ms(0.999), Max: ms(1)}
}

// toolMeter makes the reports of a run out of its counters.
type toolMeter struct {
	run    *toolRun
	began  time.Time
	lastAt time.Time
	last   toolCounts
	sum    toolFigures
}

// toolCounts are the counters whose rates are reported.
type toolCounts struct{ connected, sent, acked, received uint64 }

func newToolMeter(r *toolRun, began time.Time) *toolMeter {
	return &toolMeter{run: r, began: began, lastAt: began}
}

// second reports what came since the last report.
func (m *toolMeter) second(now time.Time) toolReport {
	var second toolFigures
	for i := range m.run.stripes {
		m.run.stripes[i].take(&second)
	}
	m.sum.add(&second)
	counts := m.run.counts()
	rep := m.report(now, m.lastAt, counts, m.last, &second.latency)
	m.lastAt, m.last = now, counts
	return rep
}

// totals reports the whole run.
func (m *toolMeter) totals(now time.Time) toolReport {
	for i := range m.run.stripes {
		m.run.stripes[i].take(&m.sum)
	}
	rep := m.report(now, m.began, m.run.counts(), toolCounts{}, &m.sum.latency)
	rep.Final = true
	if err := m.run.verdict(); err != nil {
		rep.Error = err.Error()
	}
	return rep
}

func (r *toolRun) counts() toolCounts {
	return toolCounts{r.connected.Load(), r.sent.Load(), r.acked.Load(), r.received.Load()}
}

// report makes the report of the time since a moment at which the counters stood at before.
func (m *toolMeter) report(now, since time.Time, counts, before toolCounts, latency *histogram) toolReport {
	r := m.run
	rate := func(count, before uint64) float64 {
		if seconds := now.Sub(since).Seconds(); seconds > 0 {
			return float64(count-before) / seconds
		}
		return 0
	}
	rep := toolReport{Command: r.o.kind, Seconds: now.Sub(m.began).Seconds(), Clients: r.o.count, Failed: r.failed.Load(),
		Connected: counts.connected, ConnectedPerSec: rate(counts.connected, before.connected), Latency: newToolLatency(latency)}
	switch r.o.kind {
	case toolPub:
		rep.Pub = &pubReport{Sent: counts.sent, SentPerSec: rate(counts.sent, before.sent), Acked: counts.acked,
			AckedPerSec: rate(counts.acked, before.acked), Refused: r.refused.Load(), HeldBack: r.heldBack.Load()}
	case toolSub:
		rep.Sub = &subReport{Received: counts.received, ReceivedPerSec: rate(counts.received, before.received), Lost: m.sum.lost(),
			Unchecked: m.sum.unchecked, Duplicates: m.sum.flows.duplicates, OrderBreaks: m.sum.flows.orderBreaks}
	}
	return rep
}

// toolPrinter writes reports: as JSON, or as lines, which on a terminal take each other's place.
type toolPrinter struct {
	out  io.Writer
	json bool
	live bool
}

func newToolPrinter(out io.Writer, asJSON bool) *toolPrinter {
	return &toolPrinter{out: out, json: asJSON, live: isTerminal(out)}
}

func (p *toolPrinter) second(rep toolReport) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(rep)
	}
	line := rep.line()
	if p.live {
		line = "\r" + line + "\x1b[K" // erase what is left of the line before
	} else {
		line += "\n"
	}
	_, err := io.WriteString(p.out, line)
	return err
}

func (p *toolPrinter) totals(rep toolReport) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(rep)
	}
	text := rep.summary()
	if p.live {
		text = "\r\x1b[K" + text
	}
	_, err := io.WriteString(p.out, text)
	return err
}

// line is the report of a second.
func (rep *toolReport) line() string {
	clients := fmt.Sprintf("%d connected, %d failed", rep.Connected, rep.Failed)
	head := fmt.Sprintf("%4.0f s  ", rep.Seconds)
	switch {
	case rep.Pub != nil:
		return head + fmt.Sprintf("%d sent (%.0f/s), %d acknowledged (%.0f/s), ", rep.Pub.Sent, rep.Pub.SentPerSec,
			rep.Pub.Acked, rep.Pub.AckedPerSec) + clients
	case rep.Sub != nil:
		latency := "no latency"
		if l := rep.Latency; l != nil {
			latency = fmt.Sprintf("p50 %.3f ms, p99 %.3f ms", l.P50, l.P99)
		}
		return head + fmt.Sprintf("%d received (%.0f/s), %s, ", rep.Sub.Received, rep.Sub.ReceivedPerSec, latency) + clients
	}
	return head + fmt.Sprintf("%s (%.0f/s)", clients, rep.ConnectedPerSec)
}

// summary is the report of a whole run.
func (rep *toolReport) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clients   %d of %d connected, %d failed, in %.1f s\n", rep.Connected, rep.Clients, rep.Failed, rep.Seconds)
	what := "connect"
	if s := rep.Pub; s != nil {
		what = "acknowledgement"
		fmt.Fprintf(&b, "messages  %d sent (%.0f/s), %d acknowledged, %d refused, %d held back\n", s.Sent, s.SentPerSec, s.Acked,
			s.Refused, s.HeldBack)
	}
	if s := rep.Sub; s != nil {
		what = "end to end"
		fmt.Fprintf(&b, "messages  %d received (%.0f/s): %d lost, %d duplicates, %d out of order, %d unchecked\n", s.Received,
			s.ReceivedPerSec, s.Lost, s.Duplicates, s.OrderBreaks, s.Unchecked)
	}
	if l := rep.Latency; l != nil {
		fmt.Fprintf(&b, "latency   %s: p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n", what, l.P50, l.P90, l.P99,
			l.P999, l.Max)
	}
	return b.String()
}
