package logging

import "time"

const (
	// queueBytesMax bounds the lines that wait for the writer. Beyond it lines are left out and counted; the count is
	// logged as soon as the writer is there again. 4 MiB are 40,000 usual lines, which the writer brings to a file in 30 ms.
	queueBytesMax = 4 << 20
	// lineBytesMax is where a line is cut. Identifiers and user names of clients can have 64 KiB each.
	lineBytesMax = 4096
	// spareBytesMax is the largest queue buffer that is kept while nothing is logged.
	spareBytesMax = 64 << 10
	// writeBytes is how much text is collected before it is written.
	writeBytes = 32 << 10
	// lostInterval is how often the count of lost lines is logged at most.
	lostInterval = time.Second
	// closeWait is how long Close waits for a destination that does not take its lines.
	closeWait = 2 * time.Second
	// syslogRetry is how often a syslog that went away is looked for.
	syslogRetry = time.Second
)
