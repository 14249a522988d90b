package detect

import (
	"maps"
	"slices"
	"testing"

	"sightline/web/wordstest"
)

func TestRules_HaveWordsInEachLanguage(t *testing.T) {
	codes := slices.Collect(maps.Keys(rules))
	wordstest.Cover(t, "../../web/src/app/admin/rules.*.json", "title", codes)
	wordstest.Cover(t, "../../web/src/app/admin/rules.*.json", "threshold", codes)
	wordstest.Cover(t, "../../web/src/app/admin/rules.*.json", "level", []string{string(Urgent), string(Digest), string(Info)})
}
