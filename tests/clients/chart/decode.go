// Decodes the manifests on standard input strictly, as Kubernetes' API server does with
// `fieldValidation: Strict`: an unknown field, a wrong type, and a field that is given twice
// are errors. Prints each object in JSON on its own line. The kinds are in kinds.go and custom.go; the version of
// their types is that of the module file, see tests/clients/helm.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	strict "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	for _, document := range strings.Split("\n"+string(input), "\n---") {
		object, err := decode([]byte(document))
		if err != nil {
			return fmt.Errorf("%w in:\n%s", err, document)
		}
		if object == nil {
			continue
		}
		line, err := json.Marshal(object)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// Returns nil for an empty document.
func decode(document []byte) (any, error) {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil || string(text) == "null" {
		return nil, err
	}
	var kind struct{ APIVersion, Kind string }
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	create, known := kinds[kind.APIVersion+" "+kind.Kind]
	if !known {
		return nil, fmt.Errorf("no kind %s %s", kind.APIVersion, kind.Kind)
	}
	object := create()
	problems, err := strict.UnmarshalStrict(text, object)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%v", problems)
	}
	return object, nil
}
