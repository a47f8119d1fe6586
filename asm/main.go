package main

import (
	"flag"
	"log"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

func main() {
	flag.Parse()
	switch pkg := flag.Lookup("pkg").Value.String(); pkg {
	case "codec":
		plain()
	case "router":
		levels()
	default:
		log.Fatalf("-pkg %q: there are kernels for codec and router", pkg)
	}
	build.Generate()
}

// words is n words of v in memory.
func words(name string, n int, v uint64) operand.Mem {
	m := build.GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range n {
		build.DATA(8*i, operand.U64(v))
	}
	return m
}
