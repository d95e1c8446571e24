//! Numbers in bytes: `byte_test`, `byte_jump`, `byte_extract`, `byte_math`; and what decodes: `base64_decode`, `asn1`.

use crate::{
    build::Build,
    fault::Fault,
    num::{signed, whole},
    option::Opt,
    rule::{Arithmetic, Asn1, Compare, Encoding, Field, From, Test, Value},
};

type Done = Result<(), Fault>;

/// Most bytes of a binary number.
const MAX_BINARY: i64 = 8;
/// Most bytes of a number in text: 64 bits in octal.
const MAX_TEXT: i64 = 23;

/// What may stand behind the first parts, for all four.
#[derive(Default)]
struct Tail {
    relative: bool,
    string: bool,
    order: Option<Encoding>,
    base: Option<Encoding>,
    bitmask: Option<u32>,
    multiplier: Option<u32>,
    align: Option<u8>,
    from: Option<From>,
    post_offset: Option<Value>,
}

impl Tail {
    fn take(&mut self, b: &Build<'_>, part: &str, form: &str, allowed: &[&str]) -> Done {
        let (word, value) = part.split_once(char::is_whitespace).map_or((part, ""), |(w, v)| (w, v.trim()));
        let wrong = || Fault::value(format!("`{part}` does not do"), form);
        let usual = ["relative", "big", "little", "dce", "string", "hex", "dec", "oct", "bitmask", "endian"];
        if !usual.contains(&word) && !allowed.contains(&word) {
            return Err(wrong());
        }
        let encoding = match (word, value) {
            ("relative", "") => return set(&mut self.relative),
            ("string", "") => return set(&mut self.string),
            ("big", "") | ("endian", "big") => Encoding::Big,
            ("little", "") | ("endian", "little") => Encoding::Little,
            ("dce", "") | ("endian", "dce") => Encoding::Dce,
            ("hex", "") | ("string", "hex") => Encoding::Hexadecimal,
            ("dec", "") | ("string", "dec") => Encoding::Decimal,
            ("oct", "") | ("string", "oct") => Encoding::Octal,
            ("bitmask", v) => {
                let hex = v.strip_prefix("0x").or_else(|| v.strip_prefix("0X")).unwrap_or(v);
                self.bitmask = Some(u32::from_str_radix(hex, 16).ok().filter(|m| *m > 0).ok_or_else(wrong)?);
                return Ok(());
            }
            ("multiplier", v) => {
                self.multiplier =
                    Some(whole(v).and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=65_535).contains(n)).ok_or_else(wrong)?);
                return Ok(());
            }
            ("align", "") => return store(&mut self.align, 4),
            ("align", v @ ("2" | "4")) => return store(&mut self.align, if v == "2" { 2 } else { 4 }),
            ("from_beginning", "") => return store(&mut self.from, From::Beginning),
            ("from_end", "") => return store(&mut self.from, From::End),
            ("post_offset", v) => {
                self.post_offset = Some(b.value(v)?);
                return Ok(());
            }
            _ => return Err(wrong()),
        };
        if matches!(encoding, Encoding::Big | Encoding::Little | Encoding::Dce) {
            return store(&mut self.order, encoding);
        }
        self.string |= word == "string";
        store(&mut self.base, encoding)
    }

    fn field(&self, bytes: Value, offset: Value, form: &str) -> Result<Field, Fault> {
        if self.base.is_some() && !self.string {
            return Err(Fault::value("hex, dec and oct are about text: `string` is missing", form));
        }
        let most = if self.string { MAX_TEXT } else { MAX_BINARY };
        let least = i64::from(!self.string);
        if let Value::Number(n) = bytes
            && !(0..=most).contains(&n)
        {
            return Err(Fault::value(format!("a number has {least} to {most} bytes, not {n}"), form));
        }
        // Text has no byte order: the peer takes one and does nothing with it.
        let encoding = if self.string { self.base.unwrap_or(Encoding::Decimal) } else { self.order.unwrap_or(Encoding::Big) };
        Ok(Field { bytes, offset, relative: self.relative, encoding, bitmask: self.bitmask })
    }
}

fn set(flag: &mut bool) -> Done {
    if std::mem::replace(flag, true) { Err(Fault::place("the same part stands twice", "take one of them out")) } else { Ok(()) }
}

fn store<T>(slot: &mut Option<T>, value: T) -> Done {
    if slot.replace(value).is_some() { Err(Fault::place("two parts say different things", "take one of them out")) } else { Ok(()) }
}

pub fn test(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "byte_test:BYTES,[!]OPERATOR,VALUE,OFFSET[,relative][,big|little|dce][,string,hex|dec|oct][,bitmask 0xN]";
    let parts = o.parts()?;
    let [bytes, operator, value, offset, rest @ ..] = parts.as_slice() else {
        return Err(Fault::value("fewer than four parts", form));
    };
    let (negated, operator) = operator.strip_prefix('!').map_or((false, *operator), |r| (true, r.trim()));
    let compare = match operator {
        "<" => Compare::Less,
        ">" => Compare::Greater,
        "=" | "" if negated || operator == "=" => Compare::Equal,
        "<=" => Compare::AtMost,
        ">=" => Compare::AtLeast,
        "&" => Compare::And,
        "^" => Compare::Or,
        other => return Err(Fault::value(format!("`{other}` is no operator"), form)),
    };
    let mut tail = Tail::default();
    rest.iter().try_for_each(|p| tail.take(b, p, form, &[]))?;
    let value = match whole(value).filter(|n| i64::try_from(*n).is_err()) {
        // A 64-bit value is compared by its bits.
        Some(n) => Value::Number(n.cast_signed()),
        None => b.value(value)?,
    };
    let field = tail.field(b.value(bytes)?, b.value(offset)?, form)?;
    b.test(Test::ByteTest { field, compare, negated, value }, tail.relative);
    Ok(())
}

pub fn jump(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "byte_jump:BYTES,OFFSET[,relative][,multiplier N][,big|little|dce][,string,hex|dec|oct][,align][,from_beginning|from_end][,post_offset N][,bitmask 0xN]";
    let parts = o.parts()?;
    let [bytes, offset, rest @ ..] = parts.as_slice() else {
        return Err(Fault::value("fewer than two parts", form));
    };
    let mut tail = Tail::default();
    rest.iter().try_for_each(|p| tail.take(b, p, form, &["multiplier", "align", "from_beginning", "from_end", "post_offset"]))?;
    let field = tail.field(b.value(bytes)?, b.value(offset)?, form)?;
    let jump = Test::ByteJump {
        field,
        multiplier: tail.multiplier.unwrap_or(1),
        align: tail.align.is_some(),
        from: tail.from.unwrap_or(From::Here),
        post_offset: tail.post_offset.clone().unwrap_or(Value::Number(0)),
    };
    b.test(jump, tail.relative);
    Ok(())
}

pub fn extract(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "byte_extract:BYTES,OFFSET,NAME[,relative][,multiplier N][,big|little|dce][,string,hex|dec|oct][,align 2|4][,bitmask 0xN]";
    let parts = o.parts()?;
    let [bytes, offset, name, rest @ ..] = parts.as_slice() else {
        return Err(Fault::value("fewer than three parts", form));
    };
    let mut tail = Tail::default();
    rest.iter().try_for_each(|p| tail.take(b, p, form, &["multiplier", "align"]))?;
    let number = |t: &str| signed(t).map(Value::Number).ok_or_else(|| Fault::value(format!("`{t}` is no number"), form));
    let field = tail.field(number(bytes)?, number(offset)?, form)?;
    let variable = b.define(name)?;
    b.test(Test::ByteExtract { field, variable, multiplier: tail.multiplier.unwrap_or(1), align: tail.align }, tail.relative);
    Ok(())
}

pub fn math(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "byte_math:bytes N, offset N, oper +|-|*|/|<<|>>, rvalue N, result NAME[, relative][, endian big|little|dce][, string hex|dec|oct][, dce][, bitmask 0xN]";
    let (mut bytes, mut offset, mut operation, mut right, mut result) = (None, None, None, None, None);
    let mut tail = Tail::default();
    for part in o.parts()? {
        let (word, value) = part.split_once(char::is_whitespace).map_or((part, ""), |(w, v)| (w, v.trim()));
        match word {
            "bytes" => store(&mut bytes, b.value(value)?)?,
            "offset" => store(&mut offset, b.value(value)?)?,
            "rvalue" => store(&mut right, b.value(value)?)?,
            "result" => store(&mut result, value)?,
            "oper" => {
                let operation_read = match value {
                    "+" => Arithmetic::Add,
                    "-" => Arithmetic::Subtract,
                    "*" => Arithmetic::Multiply,
                    "/" => Arithmetic::Divide,
                    "<<" => Arithmetic::ShiftLeft,
                    ">>" => Arithmetic::ShiftRight,
                    other => return Err(Fault::value(format!("`{other}` is no operator"), form)),
                };
                store(&mut operation, operation_read)?;
            }
            _ => tail.take(b, part, form, &[])?,
        }
    }
    let (Some(bytes), Some(offset), Some(operation), Some(value), Some(name)) = (bytes, offset, operation, right, result) else {
        return Err(Fault::value("bytes, offset, oper, rvalue and result must all be there", form));
    };
    if operation == Arithmetic::Divide && value == Value::Number(0) {
        return Err(Fault::value("divides by zero", form));
    }
    let field = tail.field(bytes, offset, form)?;
    let variable = b.define(name)?;
    b.test(Test::ByteMath { field, operation, value, variable }, tail.relative);
    Ok(())
}

pub fn base64_decode(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "base64_decode[:bytes N, offset N, relative]";
    let (mut bytes, mut offset, mut relative) = (None, 0, false);
    for part in o.value.unwrap_or_default().split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (word, value) = part.split_once(char::is_whitespace).map_or((part, ""), |(w, v)| (w, v.trim()));
        let number = || whole(value).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| Fault::value(format!("`{part}` does not do"), form));
        match word {
            "bytes" => bytes = Some(number()?),
            "offset" => offset = number()?,
            "relative" if value.is_empty() => relative = true,
            _ => return Err(Fault::value(format!("`{part}` does not do"), form)),
        }
    }
    b.test(Test::Base64 { bytes, offset, relative }, relative);
    Ok(())
}

pub fn base64_data(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.base64(&o.name_at)
}

pub fn asn1(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "asn1:[bitstring_overflow][, double_overflow][, oversize_length N][, absolute_offset N|relative_offset N]";
    let mut read = Asn1::default();
    for part in o
        .need()?
        .split([',', ' '])
        .filter(|p| !p.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .split(' ')
        .collect::<Vec<_>>()
        .chunk_by(|_, next| next.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
    {
        let wrong = || Fault::value(format!("`{}` does not do", part.join(" ")), form);
        match part {
            ["bitstring_overflow"] => read.bitstring_overflow = true,
            ["double_overflow"] => read.double_overflow = true,
            ["oversize_length", n] => read.oversize_length = Some(n.parse().map_err(|_| wrong())?),
            ["absolute_offset", n] => read.absolute_offset = Some(n.parse().map_err(|_| wrong())?),
            ["relative_offset", n] => read.relative_offset = Some(n.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
    }
    let relative = read.relative_offset.is_some();
    b.test(Test::Asn1(read), relative);
    Ok(())
}

pub fn ftpbounce(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    if o.value.is_some() {
        return Err(Fault::value("takes no value", "ftpbounce;"));
    }
    b.about(&[crate::header::App::Ftp])?;
    b.test(Test::FtpBounce, false);
    Ok(())
}
