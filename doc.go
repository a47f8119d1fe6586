// Package noctule is the root of the broker's module; the command is in cmd/noctule, the shape in ARCHITECTURE.md.
package noctule
