// Prints, as JSON, what is wrong with the custom resources that standard input has as a JSON list: a text for each.
import { readFileSync } from "node:fs";

const PACKAGES = {
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
};

async function fault(resource) {
  const [group] = resource.apiVersion.split("/");
  const kinds = await import(`@kubernetes-models/${PACKAGES[group]}/${resource.apiVersion}`);
  try {
    new kinds[resource.kind](resource).validate();
    return "";
  } catch (error) {
    return String(error.message);
  }
}

const resources = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await Promise.all(resources.map(fault))));
