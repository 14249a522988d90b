// Package wordstest holds the words that pages have in other languages against the codes that the server sends. It is for tests.
package wordstest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Cover fails t unless every file that pattern matches, one for each language but English, has words for exactly these codes in
// its section.
func Cover(t *testing.T, pattern, section string, codes []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 || len(codes) == 0 {
		t.Fatalf("%d files are %s, for %d codes (%v)", len(files), pattern, len(codes), err)
	}
	want := slices.Compact(slices.Sorted(slices.Values(codes)))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var words map[string]map[string]string
		if err := json.Unmarshal(b, &words); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if got := slices.Sorted(maps.Keys(words[section])); !slices.Equal(got, want) {
			t.Errorf("%s has words in %q for\n%v, want those for\n%v", file, section, got, want)
		}
		for code, sentence := range words[section] {
			if sentence == "" {
				t.Errorf("%s has no words for %s", file, code)
			}
		}
	}
}
