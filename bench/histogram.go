package bench

import "math/bits"

// Log-linear buckets: values below 64 exactly, above that 64 buckets per power of two, so a reading is at most 1/64 high.
const (
	histogramSubBits = 6
	histogramSub     = 1 << histogramSubBits
	histogramBuckets = (64 - histogramSubBits + 1) * histogramSub
)

// histogram counts latencies in nanoseconds. Its size is fixed (30 KiB); recording allocates nothing.
type histogram struct {
	counts [histogramBuckets]uint64
	total  uint64
}

func bucketOf(v uint64) int {
	if v < histogramSub {
		return int(v)
	}
	exp := bits.Len64(v) - histogramSubBits - 1
	return exp*histogramSub + int(v>>exp)
}

// bucketMax is the largest value that falls into bucket i.
func bucketMax(i int) uint64 {
	if i < histogramSub {
		return uint64(i)
	}
	exp := i/histogramSub - 1
	return uint64(i%histogramSub+histogramSub+1)<<exp - 1
}

// record counts one value; a negative one (a clock read before the stamp was due) counts as zero.
func (h *histogram) record(ns int64) {
	h.counts[bucketOf(uint64(max(ns, 0)))]++
	h.total++
}

// correct adds the records that a stall kept from being made. At full speed a publisher that waits for a delivery sends
// nothing meanwhile, so a stall shows in its outstanding messages alone, and the quantiles look as if it had been short.
// Each outstanding message is a slot that would have sent every median latency; a record of v therefore stands for more,
// of v less one, two, three medians, down to one: those that messages sent at these times would have had (HdrHistogram
// calls it the correction for coordinated omission). A fixed rate needs none of this: there latency counts from the time
// that a message was due.
func (h *histogram) correct() {
	every := uint64(h.quantile(0.5))
	if every == 0 {
		return
	}
	made := h.counts
	for i, n := range made {
		if n == 0 {
			continue
		}
		for v := bucketMax(i); v >= 2*every; v -= every {
			h.counts[bucketOf(v-every)] += n
			h.total += n
		}
	}
}

// quantile is the value at or below which the share q of all records lies; 0 without records.
func (h *histogram) quantile(q float64) int64 {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.total)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return int64(bucketMax(i))
		}
	}
	return int64(bucketMax(histogramBuckets - 1))
}
