"""What a render of N regions costs, beside helm, kustomize and PyYAML making the same objects."""
