package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPackage_HasWhatItExports(t *testing.T) {
	out := t.TempDir()
	if err := buildPackage("..", out); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pkg struct {
		Exports map[string]map[string]string
	}
	if err := json.Unmarshal(b, &pkg); err != nil {
		t.Fatal(err)
	}
	files := []string{"worker.js", "README.md", "LICENSE"} // asked for by index.js, and by npm
	for _, conditions := range pkg.Exports {
		for _, file := range conditions {
			files = append(files, file)
		}
	}
	if len(files) < 6 {
		t.Fatalf("package.json exports no more than %q", files)
	}
	for _, file := range files {
		if info, err := os.Stat(filepath.Join(out, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", file, err)
		}
	}
	index, err := os.ReadFile(filepath.Join(out, "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	// The words by which bundlers know a worker.
	if !strings.Contains(string(index), `new Worker(new URL("worker.js",import.meta.url)`) {
		t.Error("index.js starts its worker in no way that bundlers know")
	}
	one, err := os.ReadFile(filepath.Join(out, "player.js"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(one), "worker.js") || strings.Contains(string(one), "import(") {
		t.Error("player.js asks for other files")
	}
}
