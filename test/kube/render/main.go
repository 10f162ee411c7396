// Renders the manifests of a folder, as `kubectl kustomize` or `helm template` would.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: render kustomize FOLDER | render helm FOLDER NAMESPACE [KEY=VALUE…]"))
	}
	if os.Args[1] == "kustomize" {
		kustomize(os.Args[2])
	} else {
		helm(os.Args[2], os.Args[3], os.Args[4:])
	}
}

func kustomize(folder string) {
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	fail(err)
	text, err := made.AsYaml()
	fail(err)
	fmt.Print(string(text))
}

func helm(folder, namespace string, set []string) {
	chart, err := loader.Load(folder)
	fail(err)
	values := map[string]interface{}{}
	for _, one := range set {
		fail(strvals.ParseInto(one, values))
	}
	options := chartutil.ReleaseOptions{Name: "fetchway", Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, options, nil)
	fail(err)
	rendered, err := engine.Render(chart, all)
	fail(err)
	names := []string{}
	for name := range rendered {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(rendered[name]) != "" {
			fmt.Printf("---\n# %s\n%s\n", name, rendered[name])
		}
	}
}

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
