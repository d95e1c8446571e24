//! The object under `smb` in an event.

use super::{
    bytes::guid,
    exchange::{Detail, Dialect, Exchange, Status},
    names,
};
use crate::json::{self, Json};

/// Appends it.
pub(super) fn write(e: &Exchange, out: &mut Vec<u8>) {
    json::object(out, |j| {
        j.number("id", e.id + 1);
        match &e.dialect {
            Dialect::Unknown => j.text("dialect", "unknown"),
            Dialect::One(name) => j.text("dialect", name),
            Dialect::Two(number) => j.text("dialect", &*names::dialect(*number)),
        };
        j.text("command", names::command(e.second, e.command));
        match e.status {
            Some(Status::Nt(code)) => {
                j.text("status", names::status(code)).text("status_code", format!("0x{code:x}"));
            }
            Some(Status::Dos(class, code)) => {
                j.text("status", names::dos_error(class, code)).text("status_code", format!("0x{code:04x}"));
            }
            None => {}
        }
        j.number("session_id", e.session).number("tree_id", e.tree);
        detail(e, j);
        if let Some((_, call)) = &e.call {
            j.object("dcerpc", |j| call.members(j, true));
        }
    });
}

fn detail(e: &Exchange, j: &mut Json<'_>) {
    match &e.detail {
        Detail::Nothing => {}
        Detail::Negotiate { clients, client_guid, server_guid, most } => {
            j.array("client_dialects", |j| {
                for c in clients {
                    j.item_text(c);
                }
            });
            j.text_if("client_guid", client_guid.as_ref().map(guid)).text_if("server_guid", server_guid.as_ref().map(guid));
            if let Some((read, write)) = most {
                j.number("max_read_size", *read).number("max_write_size", *write);
            }
        }
        Detail::Setup { logon, hosts } => {
            if let Some(l) = logon {
                j.object("ntlmssp", |j| {
                    j.text("domain", &l.domain).text("user", &l.user).text("host", &l.host).text_if("version", l.version.as_ref());
                });
            }
            for (key, host) in ["request", "response"].into_iter().zip(hosts) {
                if let Some((system, program)) = host {
                    j.object(key, |j| {
                        j.text("native_os", system).text("native_lm", program);
                    });
                }
            }
        }
        Detail::Tree { share, pipe, kind, services, tree } => {
            if *tree != e.tree {
                j.number("tree_id", *tree);
            }
            j.text(if *pipe { "named_pipe" } else { "share" }, share);
            if services.iter().any(Option::is_some) {
                j.object("service", |j| {
                    j.text_if("request", services[0].as_ref()).text_if("response", services[1].as_ref());
                });
            } else if let Some(kind) = kind {
                let names = ["UNKNOWN", "FILE", "PIPE", "PRINT"];
                j.text("share_type", names.get(usize::from(*kind)).unwrap_or(&"UNKNOWN"));
            }
        }
        Detail::Create { name, disposition, delete, times, size, .. } => {
            j.text("filename", if name.is_empty() { "<share_root>" } else { name });
            j.text("disposition", names::disposition(*disposition));
            j.text("access", if *delete { "delete on close" } else { "normal" });
            for (key, time) in ["created", "accessed", "modified", "changed"].into_iter().zip(times) {
                j.number(key, *time);
            }
            j.number("size", *size);
        }
        Detail::Rename { from, to, .. } => {
            j.object("set_info", |j| {
                j.text("class", "FILE_INFO").text("info_level", "SMB2_FILE_RENAME_INFO");
            });
            j.object("rename", |j| {
                j.text("from", from).text("to", to);
            });
        }
        Detail::Disposition { name, delete, .. } => {
            j.object("set_info", |j| {
                j.text("class", "FILE_INFO").text("info_level", "SMB2_FILE_DISPOSITION_INFO");
            });
            j.text("filename", name).text("access", if *delete { "delete on close" } else { "normal" });
        }
        Detail::Control(number) => {
            j.text("function", &*names::function(*number));
        }
        Detail::File { share, .. } => {
            if let Some(f) = &e.file {
                j.text("filename", &f.name);
            }
            if !share.is_empty() {
                j.text("share", share);
            }
        }
    }
    j.text_if("fuid", e.fuid());
}
