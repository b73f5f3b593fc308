# The queue between the shop and its workers, spread over the subnets of the network.
terraform {
  required_version = ">= 1.5"
}

variable "site_dir" { type = string }
variable "subnets" { type = list(string) }
variable "workers" { type = number }

locals {
  url     = "amqp://${cidrhost(var.subnets[0], 20)}:5672/orders"
  path    = "${var.site_dir}/queue.conf"
  content = "url ${local.url}\n${join("", [for w in range(var.workers) : "worker ${w} ${var.subnets[w % length(var.subnets)]}\n"])}"
}

# One file under the customer's site directory stands in for a resource of the cloud. A file that was
# changed or removed behind our back makes the last trigger unknown, so the plan shows a replacement,
# and applying it gives "intact" again: one apply heals.
resource "terraform_data" "file" {
  input = { path = local.path, content = local.content }

  triggers_replace = [
    local.path,
    sha256(local.content),
    fileexists(local.path) && try(filesha256(local.path), "") == sha256(local.content) ? "intact" : substr("intact${timestamp()}", 0, 6),
  ]

  provisioner "local-exec" {
    command     = "mkdir -p \"$(dirname \"$FILE\")\" && printf %s \"$CONTENT\" > \"$FILE.new\" && mv \"$FILE.new\" \"$FILE\""
    environment = { FILE = self.input.path, CONTENT = self.input.content }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "rm -f \"$FILE\""
    environment = { FILE = self.input.path }
  }
}

output "url" {
  value      = local.url
  depends_on = [terraform_data.file]
}
