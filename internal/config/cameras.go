package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"sightline/internal/datadir"
	"sightline/internal/media"
)

// camerasFile is in the data directory, since its sources may hold passwords. It has the key streams of a configuration file and
// no other.
const camerasFile = "cameras.yaml"

const camerasHead = "Cameras that were added on the administrator's page, as streams of a configuration file.\nThe server writes this file and reads it when it starts, or is told to by SIGHUP."

// ErrCamera is wrapped by the errors of AddCamera and RemoveCamera that are about what was asked for.
var ErrCamera = errors.New("the cameras file stays as it is")

// addCameras reads the cameras file, if there is one, and adds its streams to those of the configuration file.
func (c *Config) addCameras() error {
	if info, err := os.Stat(c.DataDir); err != nil || !info.IsDir() {
		return nil // there is none yet, or whoever opens it says what is wrong
	}
	path := filepath.Join(c.DataDir, camerasFile)
	root, err := readCameras(path)
	if err != nil || root == nil {
		return err
	}
	d := &decoder{file: path}
	var added []Stream
	d.mapping(root, "the cameras file", key{"streams", func(n *yaml.Node) { d.streams(n, &added) }})
	for _, s := range added {
		if slices.ContainsFunc(c.Streams, func(o Stream) bool { return o.ID == s.ID }) {
			d.fail(root, "stream %s was added on the page and stands in the configuration file too: remove it from one of them", s.ID)
		}
		s.Origin = OriginPage
		c.Places["streams."+string(s.ID)] = Place{OriginPage, camerasFile}
		c.Streams = append(c.Streams, s)
	}
	var errs []error
	for _, e := range d.errs {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// readCameras gives the root of the cameras file, nil where there is none.
func readCameras(path string) (*yaml.Node, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parseYAML(path, data)
}

// AddCamera writes a stream into the cameras file of a data directory. What else is in the file stays as it is. The error wraps
// ErrCamera where there is such a stream already. One caller at a time.
func AddCamera(dataDir string, id media.StreamID, source Source) error {
	return changeCameras(dataDir, func(streams *yaml.Node) error {
		if indexOf(streams, string(id)) >= 0 {
			return fmt.Errorf("there is a stream %s already: %w", id, ErrCamera)
		}
		text := func(s string, style yaml.Style) *yaml.Node {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: style}
		}
		streams.Content = append(streams.Content, text(string(id), 0), &yaml.Node{
			Kind: yaml.MappingNode, Tag: "!!map",
			Content: []*yaml.Node{text("source", 0), text(source.Reveal(), yaml.DoubleQuotedStyle)},
		})
		return nil
	})
}

// RemoveCamera takes a stream out of the cameras file. The error wraps ErrCamera where it is not in there. One caller at a time.
func RemoveCamera(dataDir string, id media.StreamID) error {
	return changeCameras(dataDir, func(streams *yaml.Node) error {
		i := indexOf(streams, string(id))
		if i < 0 {
			return fmt.Errorf("stream %s was not added on the page: remove it from the configuration file: %w", id, ErrCamera)
		}
		streams.Content = slices.Delete(streams.Content, i, i+2)
		return nil
	})
}

func changeCameras(dataDir string, change func(streams *yaml.Node) error) error {
	path := filepath.Join(dataDir, camerasFile)
	root, err := readCameras(path)
	if err != nil {
		return err
	}
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: "# " + strings.ReplaceAll(camerasHead, "\n", "\n# ")}
	}
	i := indexOf(root, "streams")
	if i < 0 {
		i = len(root.Content)
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "streams"}, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	streams := root.Content[i+1]
	if streams.Kind != yaml.MappingNode { // "streams:" alone
		*streams = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	streams.Style = 0
	if err := change(streams); err != nil {
		return err
	}
	data, err := yaml.Marshal(root)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if _, err := Parse(path, data); err != nil { // never leave what the next start could not read
		return err
	}
	if err := datadir.Replace(dataDir, camerasFile, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// indexOf is where a key stands in the contents of a mapping; -1 for nowhere.
func indexOf(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}
