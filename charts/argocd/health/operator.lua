-- Health of what Prometheus Operator runs: the Available condition says it all.
-- Source: status.conditions of its Prometheus, PrometheusAgent and Alertmanager kinds.
if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "waiting for the operator" }
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Available" then
    if condition.status == "True" then
      return { status = "Healthy", message = condition.message or "" }
    elseif condition.status == "Degraded" then
      return { status = "Degraded", message = condition.message or "" }
    end
    return { status = "Progressing", message = condition.message or "" }
  end
end
return { status = "Progressing", message = "waiting for the operator" }
