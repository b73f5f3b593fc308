# The network of the shop: where everything else lies.
terraform {
  required_version = ">= 1.5"
}

variable "site_dir" { type = string }
variable "cidr" { type = string }
variable "size" { type = number }

locals {
  subnets = [for n in range(var.size) : cidrsubnet(var.cidr, 8, n)]
  path    = "${var.site_dir}/network.conf"
  content = "cidr ${var.cidr}\n${join("", [for s in local.subnets : "subnet ${s}\n"])}"
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

output "subnet" {
  value      = local.subnets[0]
  depends_on = [terraform_data.file]
}

output "subnets" {
  value      = tolist(local.subnets)
  depends_on = [terraform_data.file]
}
