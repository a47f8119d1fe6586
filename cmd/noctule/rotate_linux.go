package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// signalRotate is SIGRTMIN as C programs and kill(1) number it.
const signalRotate = 34

// rotateFD is the pipe that the handler of signalRotate writes a byte to; any byte, so it writes the first of this number.
// It is set before the handler is installed.
var rotateFD int32

// rotateHandlerPC and rotateRestorerPC are the addresses of the functions in rotate_*.s.
var rotateHandlerPC, rotateRestorerPC uintptr

// kernelSigaction is struct sigaction as the kernel has it on these machines.
type kernelSigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const (
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
)

// catchRotate tells of each SIGRTMIN. os/signal cannot: Go's runtime leaves signal 34 to C libraries, and then its default
// action ends the process. So the handler is our own, in assembly: on the signal stack, with every other signal blocked, it
// writes a byte to a pipe.
func catchRotate() (<-chan struct{}, error) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("open a pipe for SIGRTMIN: %w", err)
	}
	atomic.StoreInt32(&rotateFD, int32(p[1]))
	action := kernelSigaction{handler: rotateHandlerPC, flags: saOnStack | saRestart, mask: ^uint64(0)}
	if rotateRestorerPC != 0 {
		action.flags |= saRestorer
		action.restorer = rotateRestorerPC
	}
	if _, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, signalRotate, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); e != 0 {
		return nil, fmt.Errorf("catch SIGRTMIN: %w", e)
	}
	rotate := make(chan struct{}, 1)
	go func() {
		r := os.NewFile(uintptr(p[0]), "SIGRTMIN")
		buf := make([]byte, 64)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
			select {
			case rotate <- struct{}{}:
			default:
			}
		}
	}()
	return rotate, nil
}
