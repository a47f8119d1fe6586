package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// identifier finds a citation, prefix what may stand before it to say which version is meant.
var (
	identifier = regexp.MustCompile(`\[(MQTT-\d+\.\d+\.\d+-\d+)\]`)
	citation   = regexp.MustCompile(`v3\.1\.1\b|v5\b|\[MQTT-\d+\.\d+\.\d+-\d+\]`)
	between    = regexp.MustCompile(`^(?:[\s,;]|\band\b)*$`)
)

// findTests reads the doc comments of all Test functions below root. The names are "directory.TestName", sorted.
func findTests(root string, statements []statement) (map[key][]string, error) {
	versions := map[string][]string{}
	for _, s := range statements {
		versions[s.id] = append(versions[s.id], s.version)
	}
	tests := map[key][]string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		return readTests(root, file, versions, tests)
	})
	for _, names := range tests {
		slices.Sort(names)
	}
	return tests, err
}

func readTests(root, file string, versions map[string][]string, tests map[key][]string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	directory, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv != nil || f.Doc == nil || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		name := path.Join(filepath.ToSlash(directory)) + "." + f.Name.Name
		for _, k := range citations(f.Doc.Text(), versions) {
			if !slices.Contains(versions[k.id], k.version) {
				return fmt.Errorf("%s: %s cites %s [%s], which does not exist", file, f.Name.Name, k.version, k.id)
			}
			if !slices.Contains(tests[k], name) {
				tests[k] = append(tests[k], name)
			}
		}
	}
	return nil
}

// citations returns the statements that a doc comment names. A version stands for the identifiers right behind it; one
// without a version counts only if a single version has it.
func citations(doc string, versions map[string][]string) []key {
	var list []key
	version, end := "", 0
	for _, at := range citation.FindAllStringIndex(doc, -1) {
		word := doc[at[0]:at[1]]
		if !between.MatchString(doc[end:at[0]]) {
			version = ""
		}
		end = at[1]
		if word[0] == 'v' {
			version = word
			continue
		}
		id := word[1 : len(word)-1]
		switch {
		case version != "":
			list = append(list, key{version, id})
		case len(versions[id]) == 1:
			list = append(list, key{versions[id][0], id})
		}
	}
	return list
}
