// Command gen writes docs/conformance.md: every normative statement that binds a server, and the tests that hold it.
//
// The statements come from conformance/statements.tsv, the tests from the doc comments of all Test functions in the
// repository. Run it from the root, `go run ./conformance/gen`; its own test fails while the page is out of date.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	statementsFile = "conformance/statements.tsv"
	pageFile       = "docs/conformance.md"
)

func main() {
	if err := generate("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(root string) error {
	page, _, err := build(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, pageFile), page, 0o644)
}

// build returns the page and the statements in scope that no test holds.
func build(root string) (page []byte, gaps []statement, err error) {
	statements, err := readStatements(filepath.Join(root, statementsFile))
	if err != nil {
		return nil, nil, err
	}
	tests, err := findTests(root, statements)
	if err != nil {
		return nil, nil, err
	}
	page, gaps = render(statements, tests)
	return page, gaps, nil
}
