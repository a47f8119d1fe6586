package bench

import (
	"math"
	"testing"
)

func TestBucketsAreFineAndWithoutGaps(t *testing.T) {
	for i := range histogramBuckets - 1 {
		if bucketOf(bucketMax(i)) != i || bucketOf(bucketMax(i)+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in bucket %d", i, bucketMax(i), bucketOf(bucketMax(i)))
		}
	}
	if got := bucketOf(math.MaxUint64); got != histogramBuckets-1 {
		t.Fatalf("the greatest value is in bucket %d of %d", got, histogramBuckets)
	}
}

func TestQuantilesAreAtMostOneSixtyFourthHigh(t *testing.T) {
	var h histogram
	for v := int64(1); v <= 100_000; v++ {
		h.record(v)
	}
	f := func(q float64, want int64) {
		t.Helper()
		if got := h.quantile(q); got < want || float64(got) > float64(want)*(1+1.0/histogramSub) {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	f(0.5, 50_000)
	f(0.99, 99_000)
	f(0.999, 99_900)
	f(1, 100_000)
}

func TestHistogramWithoutRecordsAndBelowZero(t *testing.T) {
	var h histogram
	if got := h.quantile(0.99); got != 0 {
		t.Fatalf("an empty histogram says %d", got)
	}
	h.record(-5)
	if got := h.quantile(0.5); got != 0 || h.total != 1 {
		t.Fatalf("a negative value reads %d of %d", got, h.total)
	}
}

func TestCorrectionAddsWhatAStallHeldBack(t *testing.T) {
	var h histogram
	for range 100 {
		h.record(10)
	}
	h.record(45)
	h.correct() // 45 stands for 35, 25 and 15 too; 5 is below one median
	if h.total != 104 || h.counts[45] != 1 || h.counts[35] != 1 || h.counts[25] != 1 || h.counts[15] != 1 {
		t.Fatalf("%d records: %v", h.total, h.counts[:64])
	}
	var empty histogram
	empty.correct()
	if empty.total != 0 {
		t.Fatal("an empty histogram has records")
	}
}
