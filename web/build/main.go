// Command build bundles the player and the pages of web/src into web/dist with esbuild's Go API, so that building
// needs no Node. With -package it makes the player's npm package in a folder instead, and with -tests it bundles every
// *.test.ts into one for `node --test`. It starts no goroutines of its own.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	dir := flag.String("dir", "web", "the folder that holds src and dist")
	pkg := flag.String("package", "", "make the player's npm package in this folder instead of building the pages")
	tests := flag.String("tests", "", "bundle the tests into this folder instead of building the pages")
	flag.Parse()
	var err error
	switch {
	case *pkg != "":
		err = buildPackage(*dir, *pkg)
	case *tests != "":
		err = buildTests(*dir, *tests)
	default:
		err = buildPages(*dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "web/build:", err)
		os.Exit(1)
	}
}

func buildPages(dir string) error {
	src, dist := filepath.Join(dir, "src"), filepath.Join(dir, "dist")
	err := bundle(parts(dist, []api.EntryPoint{
		{InputPath: filepath.Join(src, "app", "app.ts"), OutputPath: "app"},
		{InputPath: filepath.Join(src, "app", "admin.ts"), OutputPath: "admin"},
		{InputPath: filepath.Join(src, "app", "publish.ts"), OutputPath: "publish"},
		{InputPath: filepath.Join(src, "app", "refusals.ts"), OutputPath: "refusals"},
		{InputPath: filepath.Join(src, "app", "walls.ts"), OutputPath: "walls"},
		{InputPath: filepath.Join(src, "app", "tilemenu.ts"), OutputPath: "tilemenu"},
		{InputPath: filepath.Join(src, "app", "app.css"), OutputPath: "app"},
		{InputPath: filepath.Join(src, "player", "worker.ts"), OutputPath: "worker"},
		{InputPath: filepath.Join(src, "player", "graphs.ts"), OutputPath: "graphs"},
		{InputPath: filepath.Join(src, "player", "tools.ts"), OutputPath: "tools"},
		{InputPath: filepath.Join(src, "publisher", "worker.ts"), OutputPath: "publisher"},
	}))
	if err != nil {
		return err
	}
	if err := buildPlayer(src, dist); err != nil {
		return err
	}
	return copyFiles(filepath.Join(src, "app"), dist, "index.html", "favicon.svg")
}

// buildPackage makes what npm installs as sightline-player: the player in parts for bundlers, and in one file.
func buildPackage(dir, out string) error {
	src := filepath.Join(dir, "src")
	err := bundle(parts(out, []api.EntryPoint{
		{InputPath: filepath.Join(src, "player", "main.ts"), OutputPath: "index"},
		{InputPath: filepath.Join(src, "player", "worker.ts"), OutputPath: "worker"},
		{InputPath: filepath.Join(src, "player", "graphs.ts"), OutputPath: "graphs"},
		{InputPath: filepath.Join(src, "player", "tools.ts"), OutputPath: "tools"},
	}))
	if err != nil {
		return err
	}
	if err := buildPlayer(src, out); err != nil {
		return err
	}
	if err := copyFiles(filepath.Join(dir, "package"), out, "package.json", "README.md"); err != nil {
		return err
	}
	if err := copyFiles(filepath.Join(dir, ".."), out, "LICENSE"); err != nil {
		return err
	}
	return copyFiles(filepath.Join(src, "player"), out, "player.d.ts")
}

// buildPlayer makes player.js: the whole player in one file, which other sites' pages may load. Browsers start workers from a
// page's own site alone, so the worker is in it as text.
func buildPlayer(src, out string) error {
	worker := script()
	worker.EntryPoints = []string{filepath.Join(src, "player", "worker.ts")}
	made, err := run(worker)
	if err != nil {
		return err
	}
	text, err := json.Marshal(string(made.OutputFiles[0].Contents))
	if err != nil {
		return fmt.Errorf("quote the worker: %w", err)
	}
	player := script()
	player.EntryPointsAdvanced = []api.EntryPoint{{InputPath: filepath.Join(src, "player", "main.ts"), OutputPath: "player"}}
	player.Outdir = out
	player.Define = map[string]string{"workerText": string(text)}
	return bundle(player)
}

// parts are scripts that find each other beside themselves: what is imported only when it is needed is a file of its own.
func parts(out string, entries []api.EntryPoint) api.BuildOptions {
	options := script()
	options.Outdir = out
	options.EntryPointsAdvanced = entries
	options.Define = map[string]string{"workerText": "undefined"}
	options.Plugins = []api.Plugin{{Name: "parts", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `\.ts$`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind != api.ResolveJSDynamicImport {
				return api.OnResolveResult{}, nil
			}
			name := strings.TrimSuffix(filepath.Base(args.Path), ".ts")
			return api.OnResolveResult{Path: "./" + name + ".js", External: true}, nil
		})
	}}}
	return options
}

func script() api.BuildOptions {
	return api.BuildOptions{
		Format:            api.FormatESModule,
		Platform:          api.PlatformBrowser,
		MinifySyntax:      true,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		LegalComments:     api.LegalCommentsNone,
	}
}

func copyFiles(from, to string, names ...string) error {
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fmt.Errorf("read a file to copy: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil { //nolint:gosec // all of it is public
			return fmt.Errorf("write a copy: %w", err)
		}
	}
	return nil
}

// buildTests bundles each test by itself: Node needs neither the sources nor a TypeScript loader to run it.
func buildTests(dir, out string) error {
	var entries []string
	err := filepath.WalkDir(filepath.Join(dir, "src"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".test.ts") {
			entries = append(entries, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look for tests: %w", err)
	}
	if len(entries) == 0 {
		return fmt.Errorf("no *.test.ts under %s", dir)
	}
	return bundle(api.BuildOptions{
		EntryPoints:  entries,
		Outdir:       out,
		OutExtension: map[string]string{".js": ".mjs"},
		Format:       api.FormatESModule,
		Platform:     api.PlatformNode,
		Sourcemap:    api.SourceMapInline,
	})
}

func bundle(options api.BuildOptions) error {
	options.Write = true
	_, err := run(options)
	return err
}

func run(options api.BuildOptions) (api.BuildResult, error) {
	options.Bundle = true
	options.Target = api.ES2022
	options.LogLevel = api.LogLevelSilent
	result := api.Build(options)
	var errs []error
	for _, m := range result.Errors {
		where := ""
		if m.Location != nil {
			where = fmt.Sprintf("%s:%d:%d: ", m.Location.File, m.Location.Line, m.Location.Column+1)
		}
		errs = append(errs, fmt.Errorf("%s%s", where, m.Text))
	}
	return result, errors.Join(errs...)
}
