package loop

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Workers run what must not wait on a loop: password hashes, handshakes. Each is a thread of low priority, so that a burst
// of logins takes only the time that the loops leave. What waits is bounded; the threads begin with the first job.
type Workers struct {
	jobs  chan func()
	count int
	start sync.Once
}

// NewWorkers makes count workers before which at most queue jobs wait.
func NewWorkers(count, queue int) *Workers {
	return &Workers{jobs: make(chan func(), queue), count: count}
}

// Submit takes a job, and reports false when too many wait. Any thread; it does not block.
func (w *Workers) Submit(job func()) bool {
	w.start.Do(func() {
		for range w.count {
			go w.run()
		}
	})
	select {
	case w.jobs <- job:
		return true
	default:
		return false
	}
}

// workerNice is by how much the priority of the workers' threads is below that of the loops.
const workerNice = 19

func (w *Workers) run() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), workerNice) // at worst they run as the loops do
	for job := range w.jobs {
		job()
	}
}
