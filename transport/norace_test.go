//go:build !race

package transport

const racing = false
