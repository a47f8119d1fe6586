//go:build race

package transport

const racing = true // sync.Pool then drops some of what it is given
