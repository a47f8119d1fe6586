package bench

import "testing"

func observeAll(seqs ...uint64) (f flow, c flowCounts, skipped uint64) {
	for _, seq := range seqs {
		skipped += f.observe(seq, &c)
	}
	return f, c, skipped
}

func TestFlowCounts(t *testing.T) {
	f := func(want flowCounts, seqs ...uint64) {
		t.Helper()
		if _, got, _ := observeAll(seqs...); got != want {
			t.Errorf("%v: got %+v, want %+v", seqs, got, want)
		}
	}
	f(flowCounts{unique: 4}, 0, 1, 2, 3)
	f(flowCounts{unique: 3}, 0, 1, 3)
	f(flowCounts{unique: 4, orderBreaks: 1}, 0, 2, 1, 3)
	f(flowCounts{unique: 3, duplicates: 2}, 0, 1, 1, 0, 2)
	f(flowCounts{unique: 3, orderBreaks: 1, duplicates: 1}, 0, 2, 1, 1)
}

func TestFlowReportsSkippedMessagesOnce(t *testing.T) {
	if f, _, skipped := observeAll(0, 5, 3, 6); skipped != 4 || f.next != 7 {
		t.Fatalf("skipped %d, next %d; want 4 and 7", skipped, f.next)
	}
}

func TestFlowForgetsWhatTheWindowPassed(t *testing.T) {
	var f flow
	var c flowCounts
	for seq := range uint64(2 * flowWindow) {
		f.observe(seq, &c)
	}
	// Skip a whole window and a bit: no mark of the last round may be taken for a message of this one.
	f.observe(4*flowWindow, &c)
	f.observe(4*flowWindow-1, &c)
	if c.duplicates != 0 || c.orderBreaks != 1 {
		t.Fatalf("got %+v, want one order break and no duplicate", c)
	}
	f.observe(0, &c)
	if c.orderBreaks != 2 || c.unique != 2*flowWindow+2 {
		t.Fatalf("a message older than the window: got %+v", c)
	}
}
